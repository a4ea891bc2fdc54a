//! Commits that happen in part, or by those who may not.

use mainspring_broker::{CommitError, SettleError};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "sends what a stale holder commits",
        caught_by: &["holders::a_stale_holder_cannot_commit"],
        commit: |settler, outcomes, out| {
            Box::pin(async move {
                match settler.inner.commit(outcomes, out.clone()).await {
                    Err(CommitError::Settle { .. }) => {
                        Ok(settler.broker.send_now(out).into_iter().filter_map(Result::ok).collect())
                    }
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "sends first and settles then",
        caught_by: &["holders::a_commit_is_all_or_nothing", "holders::a_stale_holder_cannot_commit"],
        commit: |settler, outcomes, out| {
            Box::pin(async move {
                let mut receipts = Vec::new();
                for (at, message) in out.into_iter().enumerate() {
                    let sent = settler.broker.send_now(vec![message]).remove(0);
                    receipts.push(sent.map_err(|source| CommitError::Send { at, source })?);
                }
                let tags: Vec<_> = outcomes.iter().map(|(tag, _)| *tag).collect();
                let answers = settler.inner.settle(outcomes).await;
                let failed = tags.into_iter().zip(answers).find(|(_, answer)| answer.is_err());
                match failed {
                    Some((tag, _)) => Err(CommitError::Settle { tag, source: SettleError::Stale }),
                    None => Ok(receipts),
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "settles first and sends then",
        caught_by: &["holders::a_commit_is_all_or_nothing"],
        commit: |settler, outcomes, out| {
            Box::pin(async move {
                let tags: Vec<_> = outcomes.iter().map(|(tag, _)| *tag).collect();
                let answers = settler.inner.settle(outcomes).await;
                if let Some((tag, _)) = tags.into_iter().zip(answers).find(|(_, answer)| answer.is_err()) {
                    return Err(CommitError::Settle { tag, source: SettleError::Stale });
                }
                let answers = settler.broker.send_now(out).into_iter().enumerate();
                answers.map(|(at, answer)| answer.map_err(|source| CommitError::Send { at, source })).collect()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets the messages of a commit",
        caught_by: &["holders::a_commit_settles_and_sends"],
        commit: |settler, outcomes, out| {
            Box::pin(async move {
                let receipts = settler.inner.commit(outcomes, Vec::new()).await?;
                let made_up = out.iter().map(|_| mainspring_broker::Receipt { place: None, duplicate: false });
                Ok(receipts.into_iter().chain(made_up).collect())
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets the settlements of a commit",
        caught_by: &["holders::a_commit_settles_and_sends"],
        commit: |settler, _, out| settler.inner.commit(Vec::new(), out),
        ..SOUND
    },
];

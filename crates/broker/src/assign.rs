//! Which member gets which slice: as even as can be, and nobody loses more than that takes.

/// The owner of each slice, from the owner it has now.
///
/// Numbers of slices differ by at most one between members. With more members than slices, some have none.
///
/// ```
/// use mainspring_broker::assign;
/// assert_eq!(assign(&[Some(1), Some(1), None], &[1, 2]), [Some(1), Some(1), Some(2)]);
/// ```
pub fn assign(owners: &[Option<u64>], members: &[u64]) -> Vec<Option<u64>> {
    if members.is_empty() {
        return vec![None; owners.len()];
    }
    let base = owners.len() / members.len();
    let mut larger = owners.len() % members.len();
    let mut counts = vec![0; members.len()];
    let mut targets = vec![None; owners.len()];
    for (target, owner) in targets.iter_mut().zip(owners) {
        let Some(at) = members.iter().position(|member| Some(*member) == *owner) else { continue };
        let keeps = if counts[at] < base {
            true
        } else if counts[at] == base && larger > 0 {
            larger -= 1;
            true
        } else {
            false
        };
        if keeps {
            counts[at] += 1;
            *target = *owner;
        }
    }
    for target in targets.iter_mut().filter(|target| target.is_none()) {
        let fewest = (0..members.len()).min_by_key(|at| counts[*at]).expect("there is a member");
        counts[fewest] += 1;
        *target = Some(members[fewest]);
    }
    targets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_member_takes_only_its_part() {
        assert_eq!(assign(&[None, None, None], &[1]), [Some(1), Some(1), Some(1)]);
        assert_eq!(assign(&[Some(1), Some(1), Some(1)], &[1, 2]), [Some(1), Some(1), Some(2)]);
        assert_eq!(assign(&[Some(1), Some(1), Some(2), Some(2)], &[1, 2, 3]), [Some(1), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_member_too_many_is_idle() {
        assert_eq!(assign(&[Some(1), Some(2)], &[1, 2, 3]), [Some(1), Some(2)]);
        assert_eq!(assign(&[Some(1), Some(2)], &[2, 3]), [Some(3), Some(2)]);
        assert_eq!(assign(&[Some(1)], &[]), [None]);
    }

    proptest! {
        #[test]
        fn slices_are_shared_evenly_and_kept_where_possible(
            owners in prop::collection::vec(prop::option::of(0_u64..6), 0..20),
            count in 1_u64..6,
        ) {
            let members: Vec<_> = (0..count).collect();
            let targets = assign(&owners, &members);
            prop_assert!(targets.iter().all(Option::is_some));
            let of = |all: &[Option<u64>], member| all.iter().filter(|owner| **owner == Some(member)).count();
            let base = owners.len() / members.len();
            for member in members {
                let now = of(&targets, member);
                prop_assert!(now == base || now == base + 1);
                let kept = owners.iter().zip(&targets).filter(|(was, is)| was == is && **is == Some(member)).count();
                prop_assert!(kept >= of(&owners, member).min(base), "a member keeps what it may");
            }
        }
    }
}

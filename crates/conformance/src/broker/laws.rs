//! The list of all laws, and the macro that makes one test of each.

mod attempts;
mod bounded;
mod confirmed;
mod dead_letters;
mod delays;
mod history;
mod holders;
mod operators;
mod order;
mod replay;
mod resubmitting;
mod routing;
mod sending;
mod slices;
mod topology;
mod unsettled;

use mainspring_broker::Feature::{
    Commit, Competing, Dedupe, Delay, DirectRouting, Expiry, HeaderRouting, HoldKeys, KeyBlocks, KeyParks,
    PatternRouting, Priority, Replay, RetryAfter, Sessions, Slices,
};

use super::{
    Backend,
    Need::{Reopen, With},
};
use crate::Law;

/// Makes one test of each law of the `Broker` contract, named `group::law`, for the backend that `$backend` returns.
///
/// `$backend` names a function without arguments in the scope of the call.
#[macro_export]
macro_rules! broker_laws {
    ($backend:ident) => {
        $crate::each_broker_law! { [$crate::broker_law_tests] ($backend) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! broker_law_tests {
    (($backend:ident) $($group:ident { $($law:ident $(needs $needs:tt)?,)* })*) => {
        $(mod $group {
            $(#[test]
            fn $law() {
                $crate::broker::check(stringify!($group), stringify!($law), &super::$backend());
            })*
        })*
    };
}

macro_rules! list {
    (() $($group:ident { $($law:ident $(needs $needs:tt)?,)* })*) => {
        /// Every law.
        pub const LAWS: &[Law<dyn Backend>] = &[$($(Law {
            group: stringify!($group),
            name: stringify!($law),
            needs: list!(needs $($needs)?),
            run: |backend| Box::pin($group::$law(backend)),
        },)*)*];
    };
    (needs) => { &[] };
    (needs $needs:tt) => { &$needs };
}

#[doc(hidden)]
#[macro_export]
macro_rules! each_broker_law {
    ([$($then:tt)*] $arguments:tt) => {
        $($then)*! { $arguments
            confirmed {
                a_confirmed_message_is_delivered,
                a_group_without_members_gets_its_messages,
                every_field_comes_back_as_it_was_sent,
                a_message_keeps_its_identity,
                a_message_without_route_is_an_error,
                a_message_that_no_binding_selects_is_an_error needs [With(DirectRouting)],
                a_log_is_a_route needs [With(Replay)],
                a_confirmed_message_survives_the_broker needs [Reopen],
                a_duplicate_is_confirmed_and_not_stored needs [With(Dedupe)],
            }
            sending {
                nothing_is_stored_behind_a_failed_message_of_its_key needs [With(DirectRouting), With(KeyBlocks)],
                a_key_that_is_sent_again_is_complete_and_in_order needs [With(DirectRouting), With(KeyBlocks)],
                what_failed_is_nowhere needs [With(DirectRouting), With(KeyBlocks)],
                a_batch_keeps_its_order needs [With(KeyBlocks)],
                a_send_begun_after_admission_follows needs [With(KeyBlocks)],
                dropped_confirmations_take_nothing_back,
                a_closed_broker_attempts_nothing,
                an_empty_batch_is_confirmed_at_once,
            }
            unsettled {
                a_crashed_member_loses_nothing,
                dropping_a_member_settles_nothing,
                what_was_delivered_can_be_settled_without_deliveries,
                a_cancelled_next_loses_nothing,
                closing_gives_back_what_was_only_fetched,
                closing_waits_for_what_is_in_flight,
                closing_gives_the_rest_back_at_its_deadline,
                closing_the_broker_drains_its_members,
                unsettled_messages_survive_the_broker needs [Reopen],
                what_is_settled_does_not_come_back,
            }
            holders {
                a_message_has_one_holder needs [With(Competing)],
                every_group_gets_every_message,
                a_lease_ends_and_another_member_gets_the_message needs [With(Competing)],
                a_stale_holder_cannot_settle needs [With(Competing)],
                a_holder_is_stale_when_its_lease_is_over,
                a_stale_holder_cannot_extend needs [With(Competing)],
                an_extended_lease_lasts needs [With(Competing)],
                a_delivery_is_settled_once,
                nobody_settles_for_another_member needs [With(Competing)],
                settlements_are_answered_one_by_one,
                a_stale_holder_cannot_commit needs [With(Commit), With(Competing)],
                a_commit_settles_and_sends needs [With(Commit)],
                a_commit_is_all_or_nothing needs [With(Commit)],
            }
            slices {
                a_key_belongs_to_the_slice_of_its_murmur2 needs [With(Replay)],
                a_single_member_has_every_slice needs [With(Slices), With(Replay), With(KeyBlocks)],
                a_slice_is_delivered_to_its_owner_only needs [With(Slices), With(Replay), With(KeyBlocks)],
                a_member_too_many_is_idle_until_another_ends needs [With(Slices), With(Replay), With(KeyBlocks)],
                a_member_that_stops_asking_gives_its_slices_up needs [With(Slices), With(Replay), With(KeyBlocks)],
                nothing_is_delivered_of_a_slice_that_is_handed_over needs [With(Slices), With(Replay), With(KeyBlocks)],
                a_handover_ends_at_its_deadline needs [With(Slices), With(Replay), With(KeyBlocks)],
            }
            order {
                blocked_keys_come_one_at_a_time needs [With(KeyBlocks)],
                parked_keys_come_one_at_a_time needs [With(KeyParks)],
                sessions_come_one_message_at_a_time needs [With(Sessions)],
                a_blocked_key_waits_and_others_flow needs [With(KeyBlocks), With(RetryAfter)],
                a_parked_key_waits_and_others_flow needs [With(KeyParks), With(RetryAfter)],
                a_parked_key_never_pauses_its_slice needs [With(KeyParks), With(RetryAfter)],
                a_release_keeps_its_place needs [With(KeyBlocks), With(Competing)],
                order_survives_a_crash_and_a_lease needs [With(KeyBlocks), With(Competing)],
                order_survives_the_broker needs [Reopen, With(KeyBlocks)],
                keys_flow_beyond_the_number_of_partitions needs [With(KeyBlocks), With(Competing)],
                messages_without_key_are_not_held_up needs [With(KeyBlocks)],
                nothing_waits_where_nothing_is_in_order needs [With(RetryAfter)],
                a_key_goes_on_after_a_dead_letter needs [With(KeyBlocks)],
                a_dead_letter_holds_its_key needs [With(HoldKeys)],
                a_resubmitted_key_drains_in_order needs [With(HoldKeys)],
                a_held_key_goes_on_without_its_dead_letter needs [With(HoldKeys)],
                a_session_stays_with_its_member needs [With(Sessions), With(Competing)],
                a_session_ends_with_its_member needs [With(Sessions), With(Competing)],
                a_higher_priority_goes_first needs [With(Priority)],
                a_priority_does_not_overtake_within_a_key needs [With(Priority), With(KeyBlocks)],
                keys_stay_in_order_under_load needs [With(KeyBlocks), With(Competing)],
            }
            attempts {
                every_retry_is_an_attempt,
                a_crash_is_an_attempt,
                a_lease_that_ran_out_was_an_attempt,
                a_release_is_no_attempt,
                what_was_only_fetched_was_not_tried,
                every_group_counts_its_own_attempts,
                attempts_survive_the_broker needs [Reopen],
                a_retry_after_a_time_is_an_attempt needs [With(RetryAfter)],
            }
            delays {
                a_delayed_message_comes_when_it_is_due needs [With(Delay)],
                delayed_messages_come_in_the_order_of_their_times needs [With(Delay)],
                a_delayed_message_needs_a_route needs [With(Delay)],
                a_delayed_message_survives_the_broker needs [Reopen, With(Delay)],
                a_retry_comes_after_its_time needs [With(RetryAfter)],
                a_retry_survives_the_broker needs [Reopen, With(RetryAfter)],
                what_has_expired_does_not_come needs [With(Expiry)],
                what_has_expired_becomes_a_dead_letter needs [With(Expiry)],
            }
            dead_letters {
                what_cannot_be_moved_is_not_acknowledged,
                a_group_without_place_for_dead_letters_says_so,
                a_dead_letter_is_there_when_it_is_settled,
                a_dead_letter_keeps_everything,
                dead_letters_survive_the_broker needs [Reopen],
            }
            bounded {
                prefetch_bounds_messages,
                prefetch_bounds_bytes,
                a_message_beyond_the_prefetch_comes_alone,
                a_batch_is_bounded,
                a_stuck_member_does_not_stop_others needs [With(Competing)],
                settling_is_not_stopped_by_a_full_prefetch,
                a_paused_slice_is_not_delivered,
                the_size_of_a_message_is_limited,
                the_size_of_headers_is_limited,
                the_number_of_messages_is_limited,
                the_size_of_a_batch_is_limited,
                the_length_of_a_delay_is_limited needs [With(Delay)],
                the_priority_is_limited needs [With(Priority)],
                the_largest_message_comes_back,
                the_length_of_retries_and_leases_is_limited,
                a_member_that_cannot_work_is_refused,
            }
            routing {
                a_direct_binding_selects_its_key needs [With(DirectRouting)],
                a_pattern_selects_by_words needs [With(PatternRouting)],
                headers_select_all_or_any needs [With(HeaderRouting)],
                a_message_comes_once_to_a_group,
                a_group_may_get_several_topics,
            }
            replay {
                a_group_begins_at_the_earliest needs [With(Replay)],
                a_group_begins_at_the_latest needs [With(Replay)],
                a_group_begins_at_an_offset needs [With(Replay)],
                a_group_begins_at_a_time needs [With(Replay)],
                a_seek_moves_the_whole_group needs [With(Replay)],
                a_seek_moves_no_other_group needs [With(Replay)],
                a_seek_needs_a_log,
                a_log_keeps_messages_for_a_time needs [With(Replay)],
                a_log_keeps_so_many_bytes needs [With(Replay)],
            }
            topology {
                verifying_creates_nothing,
                creating_again_keeps_what_is_there,
                a_difference_is_told_and_not_altered,
                a_wrong_topology_is_refused,
                a_group_must_exist,
                what_is_not_possible_is_refused_by_name,
            }
            operators {
                topics_are_listed,
                a_log_says_where_it_begins needs [With(Replay)],
                lag_counts_what_is_not_settled,
                browsing_takes_nothing,
                browsing_goes_in_order_over_all_slices needs [With(Replay)],
                what_is_shown_is_found_at_its_place,
                purging_removes_what_nobody_holds,
                removing_takes_only_what_is_named,
                schedules_are_listed needs [With(Delay)],
                a_cancelled_message_does_not_come needs [With(Delay)],
                a_cancelled_message_may_be_sent_again needs [With(Delay), With(Dedupe)],
                a_cancelled_message_stays_cancelled needs [Reopen, With(Delay)],
                a_key_is_resumed_without_members needs [Reopen, With(HoldKeys)],
            }
            resubmitting {
                a_message_for_one_group_goes_to_no_other,
                a_resubmitted_message_goes_to_whoever_gave_it_up,
                a_resubmitted_message_may_be_edited,
                a_resubmitted_message_may_be_given_up_again,
                a_resubmitted_message_is_no_duplicate needs [With(Dedupe)],
                a_message_that_cannot_be_sent_stays_where_it_is,
                only_what_is_free_is_resubmitted,
                a_resubmission_survives_the_broker needs [Reopen],
            }
            history {
                random_histories_break_no_promise needs [With(Competing), With(KeyBlocks)],
            }
        }
    };
}

each_broker_law! { [list] () }

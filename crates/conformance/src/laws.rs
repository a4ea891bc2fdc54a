//! The list of all laws, and the macro that makes one test of each.

mod atomic;
mod bounded;
mod cancel;
mod checks;
mod conditions;
mod contended;
mod durable;
mod errors;
mod follow;
mod idempotent;
mod internal;
mod linearizable;
mod model;
mod ordered;
mod progress;
mod queries;
mod reads;
mod retention;
mod time;
mod versions;

/// Makes one test of each law, named `group::law`, for the backend that `$backend` returns.
///
/// `$backend` names a function without arguments in the scope of the call.
#[macro_export]
macro_rules! laws {
    ($backend:ident) => {
        $crate::each_law! { [$crate::law_tests] ($backend) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! law_tests {
    (($backend:ident) $($group:ident { $($law:ident $(needs $($need:ident)and+)?,)* })*) => {
        $(mod $group {
            $(#[test]
            fn $law() {
                $crate::check(stringify!($group), stringify!($law), &super::$backend());
            })*
        })*
    };
}

macro_rules! list {
    (() $($group:ident { $($law:ident $(needs $($need:ident)and+)?,)* })*) => {
        /// Every law.
        pub const LAWS: &[$crate::Law] = &[$($($crate::Law {
            group: stringify!($group),
            name: stringify!($law),
            needs: &[$($($crate::Capability::$need),+)?],
            run: |backend| Box::pin($group::$law(backend)),
        },)*)*];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! each_law {
    ([$($then:tt)*] $arguments:tt) => {
        $($then)*! { $arguments
            atomic {
                an_append_to_several_streams_keeps_the_order_of_its_events,
                readers_never_see_a_part_of_an_append,
                a_failed_check_keeps_everything_out,
                a_tombstoned_stream_keeps_everything_out,
                changes_apply_after_the_events,
                an_empty_append_answers_with_the_head,
                an_append_without_events_checks_and_changes,
                a_big_append_is_one_commit_too,
            }
            durable {
                a_read_begun_after_the_answer_sees_the_events,
                every_handle_sees_acknowledged_events needs SecondHandle,
                every_field_comes_back_as_it_was_written,
                extreme_times_come_back,
                every_valid_name_works,
                events_survive_a_reopen needs Reopen,
                order_goes_on_after_a_reopen needs Reopen and ManualClock,
                checks_hold_across_a_reopen needs Reopen,
                ids_are_known_across_a_reopen needs Reopen,
                changes_hold_across_a_reopen needs Reopen,
                staleness_holds_across_a_reopen needs Reopen,
                the_largest_event_comes_back,
            }
            ordered {
                positions_count_from_one_without_holes,
                a_later_append_lies_above_an_answered_one,
                concurrent_appends_leave_no_holes,
                nothing_appears_below_what_a_reader_saw,
                the_head_is_readable_and_never_goes_back,
                info_says_where_history_begins,
            }
            versions {
                versions_count_from_one_in_each_stream,
                similar_names_are_different_streams,
                versions_are_contiguous_under_concurrent_writers,
                a_truncated_stream_keeps_its_head,
                a_stream_emptied_by_retention_keeps_its_head,
                a_tombstoned_stream_refuses_appends,
                a_tombstoned_stream_refuses_checks,
                a_tombstoned_stream_refuses_changes,
                a_tombstoned_stream_refuses_reads,
                other_reads_pass_a_tombstoned_stream,
                an_unwritten_stream_can_be_tombstoned,
            }
            checks {
                any_holds_everywhere,
                no_stream_holds_for_an_unwritten_stream,
                exists_holds_for_a_written_stream,
                exactly_holds_at_that_version_only,
                exactly_zero_means_no_stream,
                a_check_fences_a_stream_that_is_not_written,
                all_checks_must_hold,
                contradicting_checks_conflict,
                an_appends_own_events_do_not_count,
                the_actual_version_of_a_conflict_can_be_expected,
            }
            conditions {
                no_match_finds_the_oldest_event,
                no_match_asks_any_query,
                no_match_looks_above_its_position_only,
                the_through_of_a_read_can_be_decided_on,
                an_appends_own_events_are_no_match,
                both_kinds_of_check_hold_together,
                removed_events_are_no_match,
                a_removed_tag_makes_older_decisions_stale,
                a_decision_at_the_floor_is_not_stale,
                a_removed_event_without_tags_makes_nothing_stale,
                every_kind_of_removal_makes_stale,
            }
            contended {
                one_writer_wins_each_version,
                one_writer_gets_each_unique_name,
                decisions_over_a_query_are_serial,
                decisions_that_look_at_each_other_do_not_both_win,
                a_passed_epoch_writes_nothing_more,
                the_loser_of_a_race_can_read_the_winner,
            }
            idempotent {
                a_repeated_append_gets_the_original_answer,
                ids_of_every_kind_are_known,
                a_repeat_is_recognised_before_its_checks,
                a_reused_id_is_told_before_a_conflict,
                time_and_metadata_are_not_content,
                the_stream_is_content,
                the_type_is_content,
                the_schema_version_is_content,
                the_content_type_is_content,
                the_payload_is_content,
                the_tags_are_content,
                a_partly_known_append_is_refused,
                a_reordered_append_is_refused,
                an_id_twice_in_one_append_is_invalid,
                a_refused_append_leaves_its_ids_free,
                concurrent_repeats_are_written_once,
                a_repeat_changes_nothing,
            }
            errors {
                every_refusal_is_called_by_its_name,
                a_refusal_writes_nothing,
                a_refusal_is_repeatable,
                a_contradictory_read_is_invalid,
                a_position_beyond_the_head_is_refused,
            }
            follow {
                a_follower_reads_history_and_then_what_comes,
                a_follower_of_nothing_waits,
                a_follower_from_the_end_gets_only_what_comes,
                a_follower_begins_where_it_was_told,
                a_follower_waits_for_a_version_to_come,
                a_limit_ends_a_follower,
                followers_miss_and_repeat_nothing,
                a_resumed_follower_misses_and_repeats_nothing,
                a_cancelled_next_loses_nothing,
                an_append_wakes_every_follower,
                a_read_begins_at_its_first_poll,
            }
            progress {
                a_read_without_matches_says_how_far_it_came,
                a_read_ends_caught_up_at_the_head,
                progress_covers_what_was_delivered,
                any_progress_is_a_place_to_go_on_from,
                live_progress_moves_though_nothing_matches,
                progress_moves_over_internal_events,
                progress_never_falls_inside_a_commit,
                live_progress_never_falls_inside_a_commit,
                a_limit_may_cut_a_commit,
                waiting_for_a_receipt_makes_it_visible,
            }
            cancel {
                an_append_that_was_never_polled_writes_nothing,
                a_dropped_append_is_whole_or_absent,
                repeating_a_dropped_append_settles_it,
                dropped_appends_do_not_block_others,
                drops_among_concurrent_writers_leave_all_or_nothing,
                an_aborted_task_leaves_all_or_nothing,
            }
            bounded {
                the_size_of_an_event_is_limited,
                metadata_counts_towards_the_size_of_an_event,
                the_size_of_an_append_is_limited,
                the_number_of_events_is_limited,
                the_number_of_checks_and_changes_is_limited,
                the_number_of_tags_is_limited,
                the_length_of_a_content_type_is_limited,
                what_is_too_large_keeps_everything_out,
                batches_are_bounded,
                a_slow_reader_never_blocks_writers,
                a_batch_that_is_kept_does_not_change,
            }
            queries {
                streams_are_selected_by_name,
                a_category_is_the_name_before_its_first_dash,
                types_are_alternatives,
                tags_are_required_together,
                an_item_joins_its_parts_by_and,
                items_are_joined_by_or,
                a_query_without_items_selects_nothing,
                events_are_found_by_id,
                a_query_may_have_many_alternatives,
                a_filter_selects_within_a_commit,
            }
            reads {
                backwards_is_the_reverse_of_forwards,
                a_read_after_a_position_leaves_it_out,
                a_read_from_a_version_includes_it,
                a_read_from_a_version_still_filters,
                start_and_end_are_the_two_ends,
                a_limit_counts_what_matches,
                pages_are_the_whole,
                a_long_history_is_read_in_order,
            }
            internal {
                internal_events_are_not_seen_unless_named,
                internal_events_are_seen_where_named,
                internal_events_are_not_followed_unless_named,
                conditions_do_not_count_internal_events_unless_named,
                internal_events_carry_no_tags,
                internal_events_commit_with_business_events,
                only_a_leading_dollar_makes_a_stream_internal,
                a_stream_with_max_count_one_is_a_register,
                the_head_counts_internal_events,
            }
            time {
                recorded_is_the_time_of_the_store needs ManualClock,
                recorded_never_decreases_when_the_clock_does needs ManualClock,
                recorded_never_decreases_under_concurrent_writers,
                the_events_own_time_is_not_interpreted needs ManualClock,
                a_read_from_a_time_includes_it,
                a_read_back_from_a_time_includes_it,
                a_follower_from_a_time_goes_on,
            }
            retention {
                truncation_removes_what_lies_below,
                a_lower_truncation_changes_nothing,
                truncation_does_not_reach_into_the_future,
                a_count_keeps_the_newest,
                a_rule_may_come_before_its_stream,
                a_category_rule_counts_each_stream,
                a_stream_rule_goes_before_its_category,
                an_age_hides_what_is_older needs ManualClock,
                an_event_of_exactly_the_age_is_kept needs ManualClock,
                a_clock_that_is_set_back_ages_nothing needs ManualClock,
                count_and_age_both_limit needs ManualClock,
                a_read_from_a_removed_version_is_told_the_first,
                other_reads_pass_the_holes,
                the_id_of_a_retained_event_is_known,
                what_was_removed_is_no_match,
                info_does_not_hide_what_is_retained,
            }
            linearizable {
                what_many_clients_see_at_once_has_a_linear_order,
            }
            model {
                random_histories_are_answered_as_by_the_reference,
            }
        }
    };
}

each_law! { [list] () }

//! The cases, a file a subject. To add one: write a function and name it below.

mod applying;
mod believing;
mod between;
mod block_sizes;
mod blocks;
pub mod campaign;
mod circles;
mod clients;
mod confirming;
mod examples;
mod export;
mod facts;
mod growing;
mod ignored;
mod keeping;
pub mod leaving;
mod lifecycle;
mod listing;
mod locks;
mod metadata;
mod names;
mod newer;
mod nodes;
mod odd;
mod outputs;
mod ownership;
mod put_below;
mod queues;
mod recovery;
mod refusals;
mod removing;
mod repairing;
mod rollback;
mod roundtrip;
mod saved;
mod sectors;
mod shrinking;
mod side_by_side;
mod snapshots;
mod stuck;
mod tables;
mod targets;
mod udev;
mod unseen;
mod verbs;
mod volumes;
mod waits;
mod watching;
mod writing;

use anyhow::Result;

use crate::guest::Guest;

/// A thing to see on a real kernel.
pub struct Case {
    pub name: &'static str,
    pub run: Run,
}

/// What a case does; it fails with what was seen instead.
pub type Run = Box<dyn Fn(&Guest) -> Result<()>>;

/// Lists the cases: a module and its functions each.
macro_rules! cases {
    ($($module:ident: $($name:ident)*;)*) => {
        pub fn all() -> Vec<Case> {
            let mut cases = vec![$($(Case {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: Box::new($module::$name),
            },)*)*];
            cases.extend(facts::all());
            cases.extend(clients::all());
            cases
        }
    };
}

cases! {
    lifecycle:
        a_device_comes_and_goes
        resume_swaps_the_tables
        clear_empties_the_inactive_slot
        suspend_holds_writes_back
        a_rename_keeps_number_and_uuid
        a_uuid_is_given_once
        a_device_is_found_by_its_uuid
        a_deferred_remove_waits_for_the_last_close
        targets_take_messages_and_answer
        calls_run_side_by_side;
    listing:
        the_list_has_every_uuid
        foreign_names_do_not_break_the_list
        a_thousand_devices_in_one_call;
    tables:
        every_type_this_kernel_has_is_listed
        keys_are_read_back_whole
        a_read_only_table_makes_a_read_only_device
        three_thousand_rows_come_back
        both_slots_are_told_apart
        backslashes_mean_themselves;
    refusals:
        create_and_rename
        remove_of_a_device_in_use
        absent_devices
        load_of_a_bad_table_keeps_both_slots
        load_on_a_mounted_disk
        resume_that_fails_comes_back_on_the_old_table
        the_log_says_what_the_errno_does_not;
    circles:
        a_table_that_leads_back_through_a_foreign_device_is_refused
        a_table_that_leads_back_through_a_loop_device_is_refused
        a_mapping_over_a_loop_device_is_cut_with_what_is_below
        a_circle_is_told_and_opened_before_the_first_request
        devices_grow_in_order_through_a_foreign_device
        a_link_that_jumps_to_the_newest_device_moves_nothing;
    nodes:
        a_node_has_number_and_mode
        a_rename_moves_the_node
        a_file_at_the_name_is_kept
        a_node_of_another_device_is_kept
        a_node_that_cannot_be_made_is_told_and_undoes_nothing
        an_apply_without_its_node_is_on_trial_all_the_same
        a_stale_node_is_replaced
        a_right_link_is_kept
        a_sweep_takes_only_what_is_stale
        a_missing_node_of_ours_is_made;
    blocks:
        devices_are_resolved
        what_is_at_the_path_of_a_lower_device_is_told
        sizes_and_read_only_disks
        a_partition_has_its_disks_block_size
        users_are_named
        a_peek_sees_what_is_on_the_disk
        a_suspended_device_is_not_peeked_at
        a_live_table_goes_on_without_the_nodes_below;
    block_sizes:
        small_blocks_are_not_given_up
        large_blocks_live_on
        small_blocks_above_count
        swap_is_used_by_the_page
        a_target_with_large_blocks_is_told
        rows_that_the_kernel_refuses_are_conflicts;
    applying:
        two_linears_side_by_side
        a_stripe
        a_stack_of_three
        growth_under_a_mounted_file_system
        a_stack_grows_in_one_apply
        a_device_has_many_names
        three_hundred_devices;
    between:
        a_stack_grows_above_and_below_one_that_stays
        three_turn_around_above_a_disk;
    believing:
        a_map_is_as_good_as_each_folder_on_its_way
        the_group_of_root_is_root
        the_text_on_standard_input_is_what_root_gives
        a_key_that_others_can_read_is_told_as_that
        a_plan_is_as_good_as_each_folder_on_its_way
        a_device_that_an_untrusted_map_names_is_not_opened
        no_line_of_a_file_that_a_plan_names_is_drawn
        a_pipe_among_maps_is_waited_for_by_none
        a_pipe_with_a_name_is_judged_as_a_file
        a_name_that_others_could_have_made_is_theirs
        what_runs_by_itself_judges_as_apply_does
        a_key_that_an_untrusted_map_names_is_not_read;
    locks:
        another_user_opens_nothing_of_a_trial
        a_lock_that_another_user_holds_is_replaced
        what_is_in_the_place_of_a_lock_is_told
        a_folder_for_the_lock_is_judged
        a_record_that_root_locks_holds_nothing_up;
    saved:
        another_file_behind_the_loop_device_makes_a_plan_stale;
    sectors:
        what_a_device_outside_the_map_writes_is_a_conflict
        a_leftover_keeps_its_sectors_until_it_is_pruned
        sectors_change_hands_in_one_apply
        a_layer_is_replaced_beside_the_old_one
        a_disk_and_its_partitions_are_never_both_in_use
        a_thin_volume_has_one_mapping
        a_volume_needs_a_pool_below
        tags_need_a_device_that_keeps_them
        an_empty_layer_moves_nothing
        an_empty_layer_below_moves_nothing
        what_a_row_behind_another_reads
        what_begins_its_device_is_behind_no_row;
    queues:
        multipath_over_what_takes_no_requests_is_told
        a_device_of_bios_becomes_one_of_requests
        a_cache_that_is_not_memory_is_told;
    stuck:
        verbs_do_not_wait_above_a_suspended_device
        what_copies_is_not_taken_down_above_a_suspended_device
        verbs_do_not_strand_a_grown_cache
        what_is_read_at_load_is_not_above_a_suspended_device
        what_is_not_read_at_load_may_be
        a_suspended_device_of_another_is_told_whatever_is_between
        a_suspended_pool_takes_no_volume;
    leaving:
        a_writecache_gives_way_whole_or_not_at_all
        a_clone_gives_way_whole_or_not_at_all
        a_mirror_gives_way_whole_or_not_at_all
        a_merge_gives_way_whole_or_not_at_all
        a_cache_gives_way_whole_or_not_at_all
        health_is_what_the_kernel_prints
        a_stale_first_leg_is_not_copied
        a_lost_leg_is_filled_by_its_order
        dirty_blocks_stay_and_come_back;
    metadata:
        a_pool_does_not_shrink
        what_was_fixed_by_formatting_is_told_before
        a_stack_with_metadata_on_a_mapping_comes_up_unasked
        a_degraded_array_comes_up_unasked
        what_looks_at_sizes_grows_with_what_is_below
        a_pool_and_a_cache_use_what_grew_below
        what_is_read_only_is_not_formatted
        a_read_only_snapshot_on_a_read_only_device;
    names:
        a_rename_keeps_the_number
        two_names_change_places
        names_are_mangled_and_as_long_as_can_be
        a_file_in_the_place_of_a_node_is_kept
        bytes_that_are_not_utf_8_are_shown_escaped_and_left_out_nowhere;
    ownership:
        strangers_survive_everything
        prune_removes_what_is_owned_and_undeclared
        a_name_that_is_taken_is_a_conflict
        a_bare_device_is_adopted_when_asked;
    rollback:
        a_file_system_that_can_not_be_frozen_is_told_with_the_way_out
        a_claimed_lower_device
        a_lower_device_that_is_too_small_or_absent
        a_resume_that_fails_puts_the_old_table_back
        a_pool_that_cannot_start_leaves_nothing
        a_refused_create_leaves_no_device;
    repairing:
        a_pool_that_needs_a_check_is_repaired_first
        a_cache_that_needs_a_check_is_repaired_first;
    removing:
        a_mounted_device_stays
        a_device_under_another_stays
        a_program_that_has_a_device_open_is_named
        a_mount_in_another_namespace_is_named
        a_loop_device_on_top_is_named
        swap_space_stays
        a_device_with_a_swap_file_stays
        a_device_in_an_array_is_left_alone
        a_device_that_is_open_for_a_moment_is_waited_for
        a_deferred_remove_takes_its_time
        a_pending_removal_is_shown_and_called_off
        a_pending_removal_holds_its_name;
    recovery:
        leftovers_of_a_crash_are_cleared
        a_crash_between_two_renames_is_finished
        what_should_be_suspended_stays_so
        a_crash_is_repaired_without_the_map
        strangers_are_not_repaired;
    side_by_side:
        every_kind_of_step_at_once
        one_removal_that_is_refused_puts_all_back
        one_swap_that_fails_puts_all_back
        a_signal_in_the_middle_puts_all_back
        fifty_volumes_of_one_pool;
    put_below:
        a_write_under_way_is_in_what_a_mirror_copies
        a_write_under_way_is_in_what_a_clone_copies
        a_write_under_way_is_in_what_an_array_copies
        a_write_under_way_two_levels_up_is_in_the_copy;
    snapshots:
        one_of_each_chunk_is_whole
        several_with_other_chunks_are_whole
        those_that_come_later_are_whole
        an_origin_that_was_suspended_is_resumed_after_them
        those_made_by_hand_are_whole
        what_is_merged_back_is_whole
        what_a_file_system_holds_back_is_in_the_snapshot
        the_origin_of_an_overlay_may_be_read_only;
    confirming:
        what_is_not_confirmed_is_put_back
        what_can_not_be_put_back_serves
        what_is_confirmed_stays
        the_death_of_who_started_it_changes_nothing
        the_end_of_the_session_changes_nothing
        the_end_of_the_terminal_changes_nothing
        being_told_to_stop_on_the_way_changes_nothing
        what_is_in_use_by_then_is_told
        a_guard_without_proc_tells_what_it_needs;
    keeping:
        a_trial_keeps_the_old_keys_alone_and_locked
        memory_is_locked_by_the_limit_of_the_units
        a_watch_keeps_no_key
        a_table_is_kept_once_until_it_is_loaded;
    growing:
        a_cache_whose_fast_device_grew_is_loaded_again
        integrity_grows_with_what_is_below
        integrity_with_a_device_for_the_tags_that_is_too_small
        integrity_with_reserved_sectors_before_the_tags
        integrity_on_a_device_without_room
        integrity_is_formatted_after_the_recovery_of_a_blank_disk
        integrity_is_not_recovered_over_a_dirty_bitmap;
    shrinking:
        what_is_in_use_of_a_device_is_not_cut_off
        dirty_blocks_are_written_back_before_a_cache_is_shorter_or_bypassed;
    outputs:
        a_full_disk_decides_nothing
        a_full_disk_ends_no_trial
        a_trial_that_can_not_be_recorded_is_put_back
        a_reader_that_goes_away_ends_nothing
        a_reader_that_stops_holds_no_trial_up;
    ignored:
        a_value_that_the_kernel_ignores_is_named;
    campaign:
        a_death_at_every_border_is_made_good
        a_death_at_any_moment_is_made_good
        a_signal_at_every_border_leaves_one_state_or_the_other
        a_signal_at_any_moment_leaves_one_state_or_the_other
        two_at_once_take_turns
        memory_that_runs_out_leaves_nothing_suspended
        nothing_grows_while_devices_are_suspended
        a_lower_device_that_fails_in_the_swap_is_survived;
    examples:
        every_example_is_carried_out;
    export:
        dmsetup_takes_what_is_printed
        what_dmsetup_prints_becomes_a_map
        a_plan_is_rehearsed_on_the_file
        the_keys_stay_in_the_kernel
        an_array_that_was_made_with_sync_comes_back
        paths_of_disks_and_mappings
        a_graph_shows_what_stands_on_what;
    roundtrip:
        rows_seen_on_this_kernel
        rows_seen_on_an_older_kernel;
    odd:
        what_dmctl_makes_of_them_is_taken;
    targets:
        what_is_written_is_read
        dust_hears_its_messages
        switch_hears_its_messages
        a_snapshot_keeps_what_the_origin_had
        a_merge_takes_over_only_a_suspended_snapshot
        thin_volumes_come_out_of_a_pool
        a_message_about_the_key_is_told_before
        one_key_in_every_form
        integrity_tells_what_was_tampered_with
        verity_reads_only_what_was_hashed
        error_fails_and_zero_is_empty
        a_random_key_stays_while_its_device_is_there;
    newer:
        a_vdo_volume_keeps_what_is_written
        a_zoned_disk_takes_writes_anywhere
        integrity_keeps_its_tags_inline
        crypt_keeps_its_tags_beside_the_blocks;
    udev:
        links_are_right_when_an_apply_ends
        every_verb_waits_for_udev
        a_stopped_udevd_costs_one_wait_and_a_warning
        a_killed_udevd_holds_nobody_up
        a_signal_ends_the_wait
        without_a_semaphore_nothing_is_changed
        a_batch_takes_one_semaphore
        a_batch_is_shared_by_threads
        a_killed_dmctl_leaves_a_semaphore_that_the_next_one_takes
        a_device_that_udev_looks_at_is_removed_once_it_has_seen_enough
        a_node_made_by_hand_does_not_get_in_the_way_of_udev
        a_udevd_in_another_namespace_is_not_waited_for
        a_udevd_without_rules_is_not_waited_for
        with_udev_off_nobody_is_waited_for
        a_label_with_a_blank_is_found_by_each_of_its_spellings;
    unseen:
        a_new_device_is_refused_and_the_rest_is_not
        a_closed_device_goes_and_an_open_one_stays
        a_mount_that_was_detached_is_not_a_program
        reading_verbs_show_what_can_be_seen;
    verbs:
        messages_are_answered_as_to_dmsetup
        what_is_shown_is_what_dmsetup_shows
        the_verbs_do_as_dmsetup_does
        names_are_completed
        one_dmctl_at_a_time
        a_missing_control_node_is_made
        the_lock_is_where_it_can_be_written;
    volumes:
        all_fields_are_those_of_thin_dump
        a_pool_that_is_written_to_tells_no_half_truth
        damaged_metadata_is_told
        a_plan_tells_made_volumes_from_kept_ones
        what_a_read_only_pool_does_not_make_is_told;
    watching:
        a_table_changed_behind_its_back_is_put_right
        nothing_is_removed_while_the_map_is_written
        what_comes_goes_or_is_renamed_is_put_right
        nobody_tells_of_a_suspend
        a_map_is_applied_as_an_editor_saves_it
        a_map_that_others_can_write_is_not_applied
        a_lower_device_is_waited_for
        a_failure_is_the_last_that_is_tried
        an_end_amid_an_apply_puts_everything_back
        it_costs_nothing_while_nothing_happens
        the_journal_has_fields;
    writing:
        nothing_is_written_through_what_another_user_planted;
    waits:
        a_call_that_waits_for_io_tells_it_and_ends_when_told_to;
}

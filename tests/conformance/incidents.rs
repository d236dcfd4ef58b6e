//! D-1 to D-36: what went wrong in SPDY and HTTP/2 implementations, as a rule that keeps it from happening here.

rows! {
    "D-1" "" Both "Nothing is allocated by a count or length from the wire (CVE-2026-35469).";
        held [
            "memory counts_and_lengths_that_lie_are_given_no_memory",
            "codec_framing a_settings_count_that_lies_is_refused_before_its_entries",
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "codec_framing a_huge_data_frame_is_not_waited_for",
        ];
    "D-2" "" Both "SETTINGS of any length fill a fixed table, and their rate is limited (CVE-2026-55831).";
        held [
            "codec_framing a_settings_count_that_lies_is_refused_before_its_entries",
            "session_pair limits::floods_of_pings_settings_and_unknown_frames_end_the_session",
        ];
    "D-3" "" Both "Inflating stops at a multiple of the limit, in constant memory (CVE-2026-55833, CVE-2026-43970).";
        held [
            "lib headers::inflate::a_bomb_ends_the_session_in_bounded_memory",
            "driver foreign::a_block_that_inflates_without_end_ends_the_session",
        ];
    "D-4" "" Both "The connection never waits for the reader of one stream.";
        held [
            "raw_streams back_pressure::one_unread_stream_stops_neither_five_others_nor_ping",
            "http_server a_stuck_reader_stalls_its_own_stream_only",
        ];
    "D-5" "" Both "Whatever ends a stream wakes all that wait for it.";
        held [
            "driver lost_transport::a_transport_cut_at_any_byte_ends_every_wait_with_an_error",
            "driver lost_transport::a_write_that_fails_after_any_number_of_bytes_ends_every_wait",
            "session_pair streams::a_reset_reaches_every_waiter_at_once_with_its_status",
        ];
    "D-6" "" Both "As much is sent as fits; FIN leaves with the last byte.";
        held [
            "session_pair flow::bodies_around_the_window_arrive_whole_with_fin",
            "session_pair flow::one_write_far_larger_than_the_window_streams_through_with_bounded_memory",
        ];
    "D-7" "" Both "No time-out that was not asked for.";
        held [
            "driver stalls::nothing_times_out_unless_an_option_says_so",
            "driver stalls::a_peer_that_takes_16_kib_a_second_is_served_for_minutes",
        ];
    "D-8" "" Both "No bytes of a peer make a panic.";
        held [
            "codec_properties arbitrary_bytes_never_panic", "codec_properties damaged_frames_never_panic",
            "session_properties hostile_frames_neither_panic_nor_break_the_ledger",
            "lib http::message::hostile_blocks_give_a_message_that_can_be_sent_on_or_an_error",
        ];
    "D-9" "" Both "GOAWAY followed by new streams blocks nothing; requests behind it fail with a typed error.";
        held [
            "http_server a_graceful_shutdown_serves_what_is_under_way", "http_client go_away_gives_back_what_was_not_processed",
        ];
    "D-10" "" Both "The connection window is credited like those of the streams.";
        held [
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
            "session_pair flow::one_write_far_larger_than_the_window_streams_through_with_bounded_memory",
        ];
    "D-11" "" Both "Repeated headers stay apart, :host is Host and the authority, nothing is invented.";
        held [
            "http_end_to_end headers_arrive_as_they_were_meant", "lib http::message::received_request_is_absolute_and_has_a_host",
            "lib http::message::response_has_status_version_date_and_length",
        ];
    "D-12" "" Both "The priority survives the wire.";
        held [
            "codec_properties decoding_inverts_encoding_stored",
            "raw_streams open::open_sends_headers_and_options_and_reply_returns_headers",
        ];
    "D-13" "" Both "Blocks are compressed in the order in which they are sent, and inflated in that in which they come.";
        held [
            "http_client a_request_dropped_before_it_was_sent_leaves_no_trace",
            "raw_streams limit::opens_wait_behind_the_limit_and_are_released_in_order",
            "random_drops random_drops_leave_no_stream_task_or_byte",
        ];
    "D-14" "" Both "One state behind one lock, and nothing foreign under it.";
        held [
            "layers locks_are_in_one_place", "layers no_unsafe_and_no_gaps",
            "raw_streams drops::payloads_are_dropped_where_the_session_can_be_used",
        ];
    "D-15" "" Both "Streams that are let go are reset, shutdowns have a deadline, and no task stays.";
        held [
            "raw_streams drops::halves_dropped_in_every_order_and_state_end_the_stream",
            "raw_streams drops::streams_that_both_sides_have_abandoned_end", "graceful what_is_left_at_the_deadline_is_cut",
            "http_drops ten_thousand_requests_dropped_at_random_leave_nothing",
        ];
    "D-16" "" Both "Write and close, read behind close, data ahead of GOAWAY: none blocks, none is lost.";
        held [
            "driver graceful_end::data_before_go_away_is_delivered",
            "raw_streams half_close::our_reset_drops_what_was_queued_and_fails_both_directions",
            "session_pair liveness::a_short_stream_between_two_looks_at_the_clock_restarts_the_idle_time",
            "raw_streams half_close::our_half_close_leaves_the_peer_sending",
        ];
    "D-17" "" Both "Windows are signed and wide, of two types; FIN rides the last piece only.";
        held [
            "session_pair flow::a_data_frame_in_pieces_is_judged_once_and_its_fin_rides_the_last",
            "session_pair rules::settings_never_move_the_connection_window",
            "lib session::window::shrinks_below_zero_and_grows_back", "codec_framing large_data_is_split_into_frames",
        ];
    "D-18" "" Both "The connection window is refilled to its own size.";
        held [
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
            "session_pair liveness::the_first_frames_announce_what_the_options_say",
        ];
    "D-19" "" Both "Queues are bounded, credit follows consumption, a drain has a deadline.";
        held [
            "session_pair flow::a_writer_may_queue_a_share_and_all_together_a_pool",
            "session_pair flow::credit_comes_only_after_consumption_and_not_for_every_small_read",
            "serve the_drain_timeout_cuts_what_is_left",
        ];
    "D-20" "" Both "The decoder always goes on or fails; empty DATA without FIN is never sent.";
        held [
            "codec_framing data_comes_in_pieces_without_a_copy", "codec_properties fragmentation_makes_no_difference",
            "raw_streams async_io::zero_length_reads_and_writes_complete_at_once",
        ];
    "D-21" "" Both "Settings are parsed before they are judged, FIN on HEADERS counts, and what comes behind GOAWAY is an error and no crash.";
        held [
            "codec_framing settings_are_taken_entry_by_entry",
            "session_pair rules::a_request_to_persist_changes_nothing_and_a_persisted_value_is_not_applied",
            "session_pair streams::fin_half_closes_on_every_kind_of_frame",
            "driver graceful_end::go_away_of_the_peer_spares_streams_up_to_its_last_good",
        ];
    "D-22" "" Both "Credit comes at half of the window, and back-pressure goes from end to end.";
        held [
            "session_pair flow::an_update_comes_before_the_window_is_used_up",
            "http_server a_service_that_does_not_read_stops_the_upload_at_the_window",
            "http_end_to_end big_bodies_pass_both_ways_over_tcp_with_slow_readers",
        ];
    "D-23" "" Both "No output of zlib is left behind when its input is used up.";
        held ["lib headers::inflate::no_output_is_left_behind_when_the_input_is_used_up"];
    "D-24" "" Both "What is written to a stream leaves in that order.";
        held [
            "session_pair streams::headers_stay_where_they_were_written_between_data",
            "lib session::queue::keeps_the_order_of_copied_and_sliced_payloads",
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
        ];
    "D-25" "" Both "Control frames pass queued DATA, and every byte is credited once, also of dead streams.";
        held [
            "session_pair liveness::an_echo_goes_out_ahead_of_everything_that_is_queued",
            "session_pair flow::data_of_dead_streams_counts_against_the_connection_too",
            "session_pair flow::a_stream_stuck_with_more_than_half_of_the_connection_does_not_stop_the_rest",
        ];
    "D-26" "" Both "What is skipped is counted, in counters that do not wrap.";
        held ["codec_framing unknown_types_are_skipped_by_length", "codec_properties damaged_frames_never_panic"];
    "D-27" "" Server "Streams that were reset before they were accepted leave nothing (CVE-2023-26964).";
        held [
            "session_pair streams::a_stream_reset_before_anybody_accepted_it_is_forgotten",
            "session_pair limits::a_rapid_reset_ends_the_session_and_a_fair_rate_does_not",
            "session_pair limits::ended_streams_that_the_application_holds_are_bounded",
        ];
    "D-28" "" Both "Budgets recover, and our own cancels cost nothing (RUSTSEC-2024-0003).";
        held [
            "session_pair limits::a_flood_of_stream_errors_ends_the_session",
            "session_pair limits::our_own_cancels_and_what_they_cause_are_never_counted",
            "lib session::budget::a_bucket_allows_its_burst_and_then_its_rate",
        ];
    "D-29" "" Both "Empty DATA has a budget, final frames and what was read cost nothing (RUSTSEC-2026-0258).";
        held [
            "session_pair limits::a_flood_of_empty_data_ends_the_session",
            "session_pair limits::tiny_data_that_is_read_and_tiny_final_frames_are_free",
            "lib session::budget::consumption_repays_small_frames",
        ];
    "D-30" "" Both "Headers have one budget for an error, and another for the end.";
        held [
            "http_server oversized_headers_get_431_and_the_next_request_works",
            "http_server headers_beyond_four_times_the_limit_end_the_session",
            "session_pair streams::headers_of_a_stream_are_bounded_together",
        ];
    "D-31" "" Both "Credit of dropped, reset and cut-off streams does not leak, and no wake is missed.";
        held [
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
            "session_pair wakes::a_waiting_writer_is_woken_by_credit_settings_or_the_end",
            "session_pair flow::dropping_an_unread_body_returns_its_bytes_to_the_connection",
        ];
    "D-32" "" Both "No more streams are opened than the limit, or 100 before it is known.";
        held [
            "session_pair streams::a_peer_that_announces_no_limit_gets_a_hundred_streams_at_first",
            "session_pair streams::a_limit_that_arrives_before_syn_streams_left_holds_them_back_in_order",
        ];
    "D-33" "" Client "A dropped response stops its upload, and nothing is reserved ahead.";
        held [
            "http_client dropping_the_response_future_stops_the_upload",
            "session_pair flow::idle_streams_pin_nothing_of_the_connection_window",
        ];
    "D-34" "" Both "Streams are freed in one place, also by RST_STREAM with GOAWAY (CVE-2023-35945).";
        held [
            "session_properties hostile_frames_neither_panic_nor_break_the_ledger",
            "session_pair shutdown::both_sides_survive_the_death_of_the_transport_at_any_step",
        ];
    "D-35" "" Client "Compression does not betray secrets: a client does not compress unless told to (CRIME).";
        held ["session_pair rules::a_client_does_not_compress_its_secrets_unless_told_to"];
    "D-36" "" Client "What GOAWAY left unprocessed comes back to be sent on another connection.";
        held [
            "tower_stack retry::what_go_away_left_unprocessed_comes_back_whole_for_another_connection",
            "tower_stack balance::a_connection_that_drains_gets_no_more_and_finishes_what_it_has",
        ];
}

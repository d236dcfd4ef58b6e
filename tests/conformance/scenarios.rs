//! S-1 to S-106: what a peer does, and what has to follow; most have broken some implementation.

rows! {
    "S-1" "" Both "Frames cut at any byte decode to the same.";
        held [
            "codec_properties fragmentation_makes_no_difference",
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
        ];
    "S-2" "" Both "Two frames in one read are two frames.";
        held [
            "codec_framing two_frames_in_one_read_are_both_decoded",
            "http_server a_body_that_arrives_with_its_head_in_one_read_is_not_lost",
        ];
    "S-3" "" Both "DATA: empty, with FIN, with unknown flags, on stream 0.";
        held [
            "codec_framing data_comes_in_pieces_without_a_copy", "codec_framing reserved_bits_and_unknown_flags_are_ignored",
            "session_pair states::data_on_stream_0_ends_the_session",
        ];
    "S-4" "" Both "SYN_STREAM: flags, reserved bits, too short, stream 0.";
        held [
            "codec_framing reserved_bits_and_unknown_flags_are_ignored", "codec_framing fixed_frames_need_their_exact_length",
            "codec_framing stream_0_is_refused_but_in_data",
            "session_pair streams::a_unidirectional_stream_ended_by_its_syn_stream_is_still_accepted",
        ];
    "S-5" "" Both "SYN_REPLY and HEADERS: flags, reserved bits, too short, stream 0.";
        held [
            "codec_framing fixed_frames_need_their_exact_length", "codec_framing stream_0_is_refused_but_in_data",
            "session_pair streams::fin_half_closes_on_every_kind_of_frame",
        ];
    "S-6" "" Both "RST_STREAM: wrong Length, flags, stream 0, status 0.";
        deviates [
            "Flags are ignored, and status 0 ends the stream: neither is worth a session. The rest is an error.";
            "codec_framing fixed_frames_need_their_exact_length", "codec_framing stream_0_is_refused_but_in_data",
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
            "session_pair rules::a_status_that_no_draft_knows_ends_the_stream_without_an_answer",
        ];
    "S-7" "" Both "SETTINGS: empty, flags, a Length that does not fit, a count that lies.";
        held [
            "codec_framing settings_are_taken_entry_by_entry",
            "codec_framing a_settings_count_that_lies_is_refused_before_its_entries",
        ];
    "S-8" "" Both "PING, GOAWAY and WINDOW_UPDATE: wrong Length, reserved bits, credit of 0.";
        held [
            "codec_framing fixed_frames_need_their_exact_length", "codec_framing reserved_bits_and_unknown_flags_are_ignored",
            "session_pair flow::credit_of_zero_is_an_error_of_the_stream_or_of_the_session",
        ];
    "S-9" "" Both "A control frame of another version ends the session.";
        held ["codec_framing other_versions_are_refused_whatever_the_type", "codec_vectors spdy2_vectors_are_refused_by_name"];
    "S-10" "" Both "A control frame of unknown type is skipped, whole or in pieces.";
        held ["codec_framing unknown_types_are_skipped_by_length"];
    "S-11" "" Both "A control frame of 8192 octets passes; one beyond our limit resets its stream, one far beyond ends the session.";
        held [
            "codec_framing control_frames_above_the_limit_are_drained",
            "session_pair streams::faulty_blocks_end_their_stream_only",
        ];
    "S-12" "" Both "A DATA frame longer than a read is delivered as it comes.";
        held [
            "codec_framing a_huge_data_frame_is_not_waited_for",
            "session_pair flow::a_data_frame_in_pieces_is_judged_once_and_its_fin_rides_the_last",
        ];
    "S-13" "" Both "The longest DATA frame, cut off in the middle, is an error in little memory.";
        held ["driver lost_transport::the_largest_frame_that_is_cut_off_gives_its_bytes_and_an_error"];
    "S-14" "" Both "Empty DATA without FIN is tolerated, limited in rate, and never sent.";
        held [
            "session_pair patience::a_heartbeat_of_empty_data_goes_on_for_ever",
            "session_pair limits::a_flood_of_empty_data_ends_the_session",
            "raw_streams async_io::zero_length_reads_and_writes_complete_at_once",
        ];
    "S-15" "" Both "Blocks of no pair, one, many, and many values.";
        held [
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
            "codec_vectors vectors_with_blocks_survive_encoding_and_decoding",
            "lib headers::builder::builds_what_the_parser_accepts",
        ];
    "S-16" "" Both "A huge count or length in a block is an error, and nothing is allocated for it.";
        held [
            "memory counts_and_lengths_that_lie_are_given_no_memory",
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
        ];
    "S-17" "" Both "An empty name is an error, an empty value is none.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "lib headers::builder::builds_what_the_parser_accepts",
        ];
    "S-18" "" Both "A value with NUL at an end, or two in a row, is an error of its stream.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair streams::faulty_blocks_end_their_stream_only",
        ];
    "S-19" "" Both "An upper-case or repeated name is an error of its stream, and the context goes on.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair streams::faulty_blocks_end_their_stream_only",
        ];
    "S-20" "" Both "A block that ends too early or too late is an error.";
        held ["lib headers::inflate::the_context_survives_faulty_and_large_blocks"];
    "S-21" "" Both "Another dictionary or bytes that do not inflate end the session.";
        held [
            "lib headers::inflate::a_lost_context_says_why", "driver foreign::a_block_with_a_foreign_dictionary_ends_the_session",
        ];
    "S-22" "" Both "The context goes on through SYN_STREAM, SYN_REPLY and HEADERS, in both directions.";
        held [
            "codec_properties decoding_inverts_encoding_compressed",
            "driver context::a_server_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "S-23" "" Both "A refused stream advances the context all the same.";
        held ["driver context::a_server_stays_in_step_behind_every_block_it_does_not_use"];
    "S-24" "" Both "A block that inflates without end is stopped at a multiple of the limit.";
        held [
            "lib headers::inflate::a_bomb_ends_the_session_in_bounded_memory",
            "driver foreign::a_block_that_inflates_without_end_ends_the_session",
        ];
    "S-25" "" Both "Every zlib level and window is accepted.";
        held ["lib headers::inflate::every_level_and_window_is_accepted"];
    "S-26" "" Both "The marker that ends a block may come in a read of its own.";
        held ["lib headers::inflate::a_sync_marker_may_come_alone"];
    "S-27" "" Client "Statuses 200, 200 OK and 200 with a blank are fine, 20 is not.";
        held [
            "lib http::message::received_status_is_its_first_word", "http_client statuses_come_with_or_without_a_reason",
            "http_client a_reply_without_status_or_version_is_reset",
        ];
    "S-28" "" Both "A stream id of the wrong parity is an error.";
        held ["session_pair states::ids_of_the_receivers_parity_end_the_session"];
    "S-29" "" Both "A second SYN_STREAM is an error of the stream, one with a lower id of the session.";
        held [
            "session_pair states::a_second_syn_stream_resets_the_stream_and_a_lower_id_ends_the_session",
            "session_pair rules::a_second_syn_stream_for_an_open_stream_below_the_highest_resets_it_only",
        ];
    "S-30" "" Both "Ids that were skipped cannot be used any more.";
        held ["session_pair states::ids_in_gaps_count_as_closed"];
    "S-31" "" Both "DATA on an idle, half-closed and closed stream gets INVALID_STREAM, STREAM_ALREADY_CLOSED and PROTOCOL_ERROR, once.";
        held ["session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table"];
    "S-32" "" Client "DATA ahead of the reply resets the stream, and the caller gets an error.";
        held ["raw_streams half_close::data_after_fin_and_second_replies_reset_the_stream_only"];
    "S-33" "" Client "A second reply gets STREAM_IN_USE.";
        held ["raw_streams half_close::data_after_fin_and_second_replies_reset_the_stream_only"];
    "S-34" "" Both "HEADERS on a closed stream get INVALID_STREAM.";
        held ["session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table"];
    "S-35" "" Both "RST_STREAM is not answered, and ignored for unknown streams.";
        held ["session_pair states::rst_stream_is_never_answered_and_ends_whatever_is_open"];
    "S-36" "" Both "RST_STREAM wakes whoever waits, with its status.";
        held [
            "session_pair streams::a_reset_reaches_every_waiter_at_once_with_its_status",
            "http_client a_reset_before_the_reply_is_an_error_with_its_status",
            "raw_streams half_close::a_reset_of_the_peer_wakes_every_wait",
        ];
    "S-37" "" Both "What came ahead of FIN and RST_STREAM can be read to its end.";
        held [
            "session_pair streams::a_reset_behind_fin_takes_nothing_away",
            "raw_streams half_close::a_reset_behind_fin_takes_nothing_away",
        ];
    "S-38" "" Both "RST_STREAM takes back what was queued to be sent.";
        held ["session_pair wakes::a_flush_cut_off_by_a_reset_is_an_error"];
    "S-39" "" Both "DATA behind our reset is dropped and still counts for the connection.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "raw_streams half_close::our_reset_drops_what_was_queued_and_fails_both_directions",
        ];
    "S-40" "" Both "Ten thousand streams opened and reset leave no memory behind.";
        held [
            "memory ten_thousand_streams_opened_and_reset_leave_nothing",
            "session_pair limits::ten_thousand_cancelled_streams_leave_nothing_behind",
        ];
    "S-41" "" Client "When ids are used up, new streams fail cleanly and old ones go on.";
        held ["session_pair streams::used_up_ids_fail_new_streams_cleanly_and_leave_old_ones_alone"];
    "S-42" "" Both "FIN half-closes on SYN_STREAM, SYN_REPLY, HEADERS and DATA.";
        held ["session_pair streams::fin_half_closes_on_every_kind_of_frame"];
    "S-43" "" Both "A response that is whole before the upload stops the upload, and is delivered.";
        held [
            "http_client an_early_response_is_delivered_although_it_stops_the_upload",
            "http_server a_refused_upload_is_told_to_stop",
        ];
    "S-44" "" Server "Requests that come while the service is busy wait, and are not lost.";
        held [
            "tower_stack concurrency::a_global_limit_of_a_router_holds_over_all_connections",
            "http_server no_more_requests_than_announced_are_served_at_once",
        ];
    "S-45" "" Both "An upload follows the window exactly: credit, a smaller initial window, negative, and back.";
        held ["session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes"];
    "S-46" "" Both "Two streams share the connection window; credit of a stream does not widen it.";
        held ["session_pair flow::stream_credit_alone_does_not_release_what_the_connection_holds_back"];
    "S-47" "" Both "Bodies some bytes below and above the window arrive whole, with FIN.";
        held ["session_pair flow::bodies_around_the_window_arrive_whole_with_fin"];
    "S-48" "" Both "One write of many windows streams through.";
        held [
            "session_pair flow::one_write_far_larger_than_the_window_streams_through_with_bounded_memory",
            "http_end_to_end a_big_echo_streams_both_ways_at_once",
        ];
    "S-49" "" Both "Credit beyond 2^31-1 costs the stream, or the session.";
        held [
            "session_pair flow::a_stream_window_lifted_above_the_maximum_resets_the_stream",
            "session_pair flow::a_connection_window_lifted_above_the_maximum_ends_the_session",
        ];
    "S-50" "" Both "An overrun of our windows costs the stream, or the session; lenient flow control accepts it.";
        held [
            "session_pair flow::a_peer_that_overruns_a_stream_window_has_it_reset_and_the_bytes_count",
            "session_pair flow::a_peer_that_overruns_the_connection_window_loses_the_session",
            "driver flow_control::lenient_flow_control_tolerates_a_peer_that_overruns_our_windows",
        ];
    "S-51" "" Both "Credit for half-closed and unknown streams is ignored.";
        held ["session_pair flow::credit_for_unknown_closed_and_half_closed_streams_is_ignored"];
    "S-52" "" Both "An initial window of 0 holds DATA until credit comes.";
        held [
            "session_pair flow::an_announced_window_of_zero_holds_data_until_credit_comes",
            "http_client a_window_of_zero_leaves_the_body_untouched_until_it_opens",
        ];
    "S-53" "" Both "Credit follows consumption: an unread body of 1 GiB holds a window of memory.";
        held [
            "memory an_unread_body_in_large_frames_holds_no_more_than_its_window",
            "session_pair flow::credit_comes_only_after_consumption_and_not_for_every_small_read",
        ];
    "S-54" "" Both "A body dropped unread gives its bytes back to the connection.";
        held [
            "session_pair flow::dropping_an_unread_body_returns_its_bytes_to_the_connection",
            "http_server data_for_a_dropped_request_body_is_credited_to_the_connection_only",
        ];
    "S-55" "" Both "Small reads do not cause a WINDOW_UPDATE each.";
        held ["session_pair flow::credit_comes_only_after_consumption_and_not_for_every_small_read"];
    "S-56" "" Both "Our window is raised and lowered at run time.";
        not_applicable ["The windows that we announce are options, and do not change in the life of a connection."];
    "S-57" "" Both "Idle streams pin nothing of the connection window.";
        held ["session_pair flow::idle_streams_pin_nothing_of_the_connection_window"];
    "S-58" "" Both "Streams that are not open yet get no capacity, and less after a smaller window.";
        held [
            "session_pair streams::streams_beyond_the_peers_limit_wait_and_start_in_order",
            "raw_streams limit::a_limit_of_zero_queues_until_it_is_raised",
            "session_pair flow::a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes",
        ];
    "S-59" "" Both "DATA of streams that GOAWAY has cut is credited to the connection.";
        held ["session_pair rules::data_for_unknown_ids_behind_our_goaway_is_dropped_and_credited"];
    "S-60" "" Both "One unread stream with 200 frames stops neither five others nor PING.";
        held [
            "session_pair flow::an_unread_stream_with_200_frames_in_flight_stops_neither_streams_nor_pings",
            "raw_streams back_pressure::one_unread_stream_stops_neither_five_others_nor_ping",
            "http_server a_stuck_reader_stalls_its_own_stream_only",
        ];
    "S-61" "" Both "A peer that reads 16 KiB a second is served for minutes, in constant memory.";
        held ["driver stalls::a_peer_that_takes_16_kib_a_second_is_served_for_minutes"];
    "S-62" "" Both "Credit comes before the window is used up.";
        held ["session_pair flow::an_update_comes_before_the_window_is_used_up"];
    "S-63" "" Both "SETTINGS come first; a peer that never sends any is served.";
        held [
            "session_pair liveness::the_first_frames_announce_what_the_options_say",
            "http_server a_request_is_answered_with_reply_data_and_fin",
        ];
    "S-64" "" Both "The first of repeated settings counts, unknown ones do not.";
        held ["codec_framing settings_are_taken_entry_by_entry"];
    "S-65" "" Both "A limit below what is open: old streams finish, new ones wait.";
        held ["session_pair streams::streams_beyond_the_peers_limit_wait_and_start_in_order"];
    "S-66" "" Both "A limit of 0 makes streams wait.";
        held [
            "session_pair streams::a_limit_of_zero_queues_until_it_is_raised",
            "raw_streams limit::a_limit_of_zero_queues_until_it_is_raised",
        ];
    "S-67" "" Both "A stream beyond our limit is refused, its block inflated, and later ones work.";
        held [
            "session_pair streams::a_stream_over_our_limit_is_refused_and_later_ones_work",
            "driver context::a_server_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "S-68" "" Client "Persisted settings are kept for each origin, and sent back to it alone.";
        later ["SETTINGS persistence"];
    "S-69" "" Both "PING is echoed ahead of queued DATA.";
        held ["session_pair liveness::an_echo_goes_out_ahead_of_everything_that_is_queued"];
    "S-70" "" Both "Echoes of nothing are ignored, concurrent PINGs told apart.";
        held [
            "session_pair liveness::pings_of_our_parity_that_we_did_not_send_are_ignored",
            "session_pair liveness::concurrent_pings_are_told_apart_and_timed_from_their_emission",
        ];
    "S-71" "" Both "PINGs while nothing can be written are bounded in memory.";
        held [
            "driver stalls::a_ping_flood_of_a_peer_that_never_reads_is_bounded",
            "session_pair limits::replies_to_a_peer_that_reads_none_are_bounded",
        ];
    "S-72" "" Both "Keep-alive gives a silent peer up, and its streams with it; not while idle unless asked.";
        held [
            "driver stalls::keep_alive_asks_and_gives_up",
            "session_pair liveness::keep_alive_rests_while_idle_unless_asked_not_to",
        ];
    "S-73" "" Both "A graceful shutdown finishes what is under way, takes no more, and ends.";
        held [
            "http_server a_graceful_shutdown_serves_what_is_under_way",
            "driver graceful_end::a_shutdown_lets_streams_under_way_finish",
        ];
    "S-74" "" Client "GOAWAY: what is above it can be retried, the rest finishes, then the connection closes.";
        held [
            "http_client go_away_gives_back_what_was_not_processed",
            "session_pair shutdown::goaway_fails_what_it_excludes_as_retryable_and_lets_the_rest_finish",
        ];
    "S-75" "" Client "A later GOAWAY with a higher id brings nothing back.";
        held [
            "session_pair shutdown::a_second_goaway_only_lowers_the_last_good_id",
            "driver graceful_end::go_away_of_the_peer_spares_streams_up_to_its_last_good",
        ];
    "S-76" "" Both "GOAWAY of the peer leaves its own streams alone.";
        held [
            "session_pair shutdown::goaway_of_the_peer_leaves_its_own_streams_alone",
            "driver graceful_end::go_away_of_the_peer_spares_streams_up_to_its_last_good",
        ];
    "S-77" "" Both "DATA ahead of GOAWAY is delivered.";
        held [
            "driver graceful_end::data_before_go_away_is_delivered",
            "session_pair shutdown::data_that_came_before_a_goaway_is_delivered",
        ];
    "S-78" "" Both "A session error says GOAWAY with id and status before it closes.";
        held [
            "session_pair shutdown::a_session_error_says_goaway_with_the_last_accepted_id_and_fails_every_stream",
            "http_server headers_beyond_four_times_the_limit_end_the_session",
        ];
    "S-79" "" Both "A connection that closes in a response is an error of its body, before it of the request.";
        held [
            "http_client a_lost_connection_fails_every_response_and_body",
            "driver lost_transport::the_end_of_the_transport_is_clean_only_without_streams",
        ];
    "S-80" "" Both "A read ends by a reset of either side and by the loss of the connection.";
        held [
            "raw_streams half_close::a_reset_of_the_peer_wakes_every_wait",
            "raw_streams half_close::our_reset_drops_what_was_queued_and_fails_both_directions",
            "driver lost_transport::dropping_the_connection_fails_every_wait_at_once",
        ];
    "S-81" "" Both "The idle time-out: off by default, on, with streams open, and in a race with a new one.";
        held [
            "session_pair liveness::an_idle_session_shuts_down",
            "session_pair liveness::a_short_stream_between_two_looks_at_the_clock_restarts_the_idle_time",
            "driver stalls::an_idle_session_ends_after_the_idle_timeout",
            "driver stalls::nothing_times_out_unless_an_option_says_so",
        ];
    "S-82" "" Client "A push is received: request, response, body.";
        later ["server push"];
    "S-83" "" Client "Faulty pushes are reset.";
        later ["server push"; "Every push is reset."; "http_client a_push_is_refused_and_the_header_context_goes_on"];
    "S-84" "" Client "Without push, a push is refused, and connection and context go on.";
        held ["http_client a_push_is_refused_and_the_header_context_goes_on"];
    "S-85" "" Both "A push that is dropped is cancelled; the end of its stream ends it.";
        later ["server push"];
    "S-86" "" Client "Pushes beyond our limit are refused.";
        later ["server push"; "Every push is refused."; "http_client a_push_is_refused_and_the_header_context_goes_on"];
    "S-87" "" Both "Trailers come with and without data before them, with FIN on HEADERS or behind.";
        held [
            "http_client response_trailers_are_the_last_frame", "http_server trailers_go_behind_data_and_right_behind_the_head",
            "http_end_to_end trailers_come_without_data_too",
        ];
    "S-88" "" Both "HEADERS in the middle of a body do not break it.";
        held ["http_client response_trailers_are_the_last_frame"];
    "S-89" "" Both "Pseudo headers in trailers are an error, those of one hop are stripped.";
        held [
            "http_server pseudo_headers_in_trailers_are_an_error", "http_server trailers_of_a_request_come_behind_its_data",
            "lib http::message::received_trailers_may_not_touch_the_head",
        ];
    "S-90" "" Server "A request without one of its pseudo headers gets 400.";
        held ["http_server a_request_that_lacks_a_pseudo_header_gets_400_and_the_next_one_works"];
    "S-91" "" Client "A reply without :status or :version resets its stream.";
        held ["http_client a_reply_without_status_or_version_is_reset"];
    "S-92" "" Server "Odd paths are made regular or get 400, without a panic.";
        held [
            "lib http::message::received_path_is_normalised_or_bad",
            "lib http::message::hostile_blocks_give_a_message_that_can_be_sent_on_or_an_error",
        ];
    "S-93" "" Both "A body of another length: 400 or RST_STREAM for a request, nothing for a response.";
        held [
            "http_server a_body_of_the_wrong_length_gets_400",
            "http_server a_body_of_the_wrong_length_behind_the_answer_is_reset",
            "http_client a_wrong_content_length_of_a_response_is_ignored",
        ];
    "S-94" "" Both "HEAD, 204 and 304 have no body and keep their Content-Length.";
        held ["http_server responses_without_body_keep_their_content_length", "http_client responses_without_a_body_have_none"];
    "S-95" "" Both "Set-Cookie stays apart, request cookies are joined.";
        held [
            "http_end_to_end headers_arrive_as_they_were_meant",
            "http_server a_date_is_not_overwritten_and_hop_by_hop_headers_are_left_out",
        ];
    "S-96" "" Both "Headers for one hop, and those that Connection names, are stripped both ways.";
        held [
            "lib http::message::request_headers_of_one_hop_are_stripped",
            "lib http::message::received_headers_of_one_hop_are_stripped", "http_end_to_end headers_arrive_as_they_were_meant",
        ];
    "S-97" "" Server "Large headers get 431 and the connection goes on; four times as large ends it.";
        held [
            "http_server oversized_headers_get_431_and_the_next_request_works",
            "http_server headers_beyond_four_times_the_limit_end_the_session",
        ];
    "S-98" "" Both "Expect: 100-continue is met without an interim reply; one that comes is skipped.";
        deviates [
            "Section 2.6.2 forbids a second SYN_REPLY, and node sends two: one interim reply is skipped.";
            "http_client one_interim_response_is_skipped", "http_client a_get_is_one_syn_stream_with_fin",
            "http_server an_informational_answer_becomes_500",
        ];
    "S-99" "" Both "Ranges of all kinds are served while fifty are cancelled and a long download goes on.";
        held ["http_end_to_end ranges_of_files_are_served_while_many_are_cancelled"];
    "S-100" "" Both "CONNECT carries bytes both ways, with half-close and back-pressure.";
        held [
            "tunnel bytes_go_both_ways_and_each_direction_ends_by_itself",
            "tunnel large_transfers_go_through_windows_in_both_directions_at_once",
        ];
    "S-101" "" Server "A rapid reset ends the session in bounded memory; a fair rate of cancels does not.";
        held [
            "session_pair limits::a_rapid_reset_ends_the_session_and_a_fair_rate_does_not",
            "session_pair limits::cancels_of_answered_streams_are_never_counted",
        ];
    "S-102" "" Both "A flood of stream errors ends the session.";
        held ["session_pair limits::a_flood_of_stream_errors_ends_the_session"];
    "S-103" "" Both "A flood of empty DATA ends the session; small and final frames do not.";
        held [
            "session_pair limits::a_flood_of_empty_data_ends_the_session",
            "session_pair limits::tiny_data_that_is_read_and_tiny_final_frames_are_free",
            "session_pair limits::single_bytes_that_nobody_reads_are_bounded_by_their_window_and_hurt_no_other_stream",
        ];
    "S-104" "" Server "A flood of streams whose refusals are not read is bounded.";
        held ["session_pair rules::refusals_to_a_peer_that_reads_none_are_bounded"];
    "S-105" "" Both "Random drops on many threads leave no stream, task or byte behind.";
        held [
            "random_drops random_drops_leave_no_stream_task_or_byte",
            "http_drops ten_thousand_requests_dropped_at_random_leave_nothing",
        ];
    "S-106" "" Both "What is credited, buffered and in flight always adds up to the window.";
        held [
            "session_properties two_sessions_keep_the_ledger_and_never_deadlock",
            "session_properties hostile_frames_neither_panic_nor_break_the_ledger",
        ];
}

//! K-01 to K-57: what Kubernetes' tools and servers expect of a peer over SPDY/3.1, mostly of Go's spdystream.

rows! {
    "K-01" "" Server "An Upgrade by POST is answered with 101, its two headers and the protocol that was chosen.";
        held [
            "interop kubectl::exec::outputs_are_apart_and_the_code_is_the_commands",
            "kube upgrade::the_answer_switches_and_names_the_protocol",
        ];
    "K-02" "" Both "Connection and Upgrade are read by token, whatever their case.";
        held [
            "kube upgrade::the_answer_switches_and_names_the_protocol",
            "kube upgrade::frames_that_come_with_a_head_are_kept_in_both_roles",
            "lib http::switching::tokens_are_found_in_lists_and_lines_whatever_their_case",
        ];
    "K-03" "" Server "The client's first protocol that is known wins, in lines or in lists.";
        held ["kube upgrade::the_first_protocol_of_the_client_that_the_server_knows_is_chosen"];
    "K-04" "" Server "No shared protocol is 403 with a line for each of ours; no protocol, or no Upgrade, is 400; both say why.";
        held [
            "interop kubectl::odd_servers::a_server_of_other_protocols_is_told_so",
            "interop kubectl::odd_servers::a_server_without_upgrades_is_told_so",
            "kube upgrade::a_request_that_cannot_be_upgraded_is_told_why",
            "kube upgrade::a_request_that_no_server_can_upgrade_is_answered_with_500",
        ];
    "K-05" "" Client "Protocols are offered line by line; a refusal reaches the caller with status, headers and body.";
        held [
            "kube upgrade::each_protocol_is_offered_in_a_line_of_its_own",
            "kube upgrade::a_refusal_comes_with_its_status_headers_and_body",
            "kube upgrade::the_body_of_a_refusal_is_bounded",
            "kube upgrade::a_server_that_names_no_protocol_or_a_foreign_one",
            "lib kube::status::what_other_servers_leave_out_or_add_is_no_fault",
        ];
    "K-06" "" Server "Not a byte follows the 101 before the client has sent one.";
        held [
            "kube upgrade::nothing_is_said_behind_the_101_before_the_client_has_spoken",
            "session_pair spdystream::nothing_is_announced_and_a_server_waits_to_be_spoken_to",
        ];
    "K-07" "" Both "Frames that HTTP has read together with a head are not lost.";
        held ["kube upgrade::frames_that_come_with_a_head_are_kept_in_both_roles"];
    "K-08" "" Both "Any split of the input decodes to the same.";
        held [
            "codec_properties fragmentation_makes_no_difference",
            "kube session::the_bytes_of_kubectl_are_understood_in_pieces_of_any_size",
        ];
    "K-09" "" Both "What kubectl was recorded to send is understood, frame by frame, in one compression context.";
        held [
            "kube session::the_bytes_of_kubectl_are_understood_in_pieces_of_any_size",
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
        ];
    "K-10" "" Both "Each block ends in a full flush, so that hundreds of them in a row can be read one by one.";
        held [
            "kube session::two_hundred_blocks_in_a_row_are_in_step_in_both_directions",
            "codec_vectors vectors_with_blocks_survive_encoding_and_decoding",
        ];
    "K-11" "" Both "Any level, window and flush of a compressor is inflated.";
        held [
            "lib headers::inflate::every_level_and_window_is_accepted",
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
        ];
    "K-12" "" Both "Names go out in lower case and are found in any.";
        held [
            "lib headers::block::lookup_ignores_case", "lib headers::block::names_are_folded_on_demand_and_values_never",
            "kube session::the_application_sees_the_headers_before_anything_is_answered",
            "kube port_server::two_streams_are_a_pair_whichever_comes_first",
        ];
    "K-13" "" Both "Blocks without pseudo headers, or without any header, are valid.";
        held [
            "kube session::the_bytes_of_kubectl_are_understood_in_pieces_of_any_size",
            "kube command_server::the_set_is_complete_in_whatever_order_it_comes",
        ];
    "K-14" "" Both "Counts and lengths are judged before memory is given to them.";
        held [
            "memory counts_and_lengths_that_lie_are_given_no_memory",
            "codec_framing a_settings_count_that_lies_is_refused_before_its_entries",
            "codec_framing control_frames_above_the_limit_are_drained",
            "lib headers::block::folding_stops_where_the_plain_form_is_cut",
        ];
    "K-15" "" Both "Frames of unknown types are skipped, and none is sent.";
        held ["codec_framing unknown_types_are_skipped_by_length"];
    "K-16" "" Both "A DATA frame of the largest size is taken as it comes; ours are small.";
        held ["kube session::the_largest_frame_is_accepted_as_it_comes_and_ours_are_small"];
    "K-17" "" Both "Ids count up by role; priority, slot and flags are 0 unless asked otherwise.";
        held ["session_pair spdystream::streams_are_plain_unless_asked_otherwise"];
    "K-18" "" Server "SYN_REPLY, with no header and no FIN, comes before any DATA.";
        held [
            "kube command_server::the_set_is_complete_in_whatever_order_it_comes",
            "kube session::the_application_sees_the_headers_before_anything_is_answered",
            "session_pair spdystream::streams_are_plain_unless_asked_otherwise",
        ];
    "K-19" "" Server "The application sees the headers first, and replies or rejects.";
        held ["kube session::the_application_sees_the_headers_before_anything_is_answered"];
    "K-20" "" Client "An open stream is one that was replied to; without a reply it is reset in time and forgotten.";
        held [
            "session_pair spdystream::a_stream_without_a_reply_is_reset_in_time_and_forgotten",
            "session_pair spdystream::the_time_for_a_reply_stands_still_while_nothing_is_read",
            "session_pair spdystream::answered_streams_do_not_pile_up_behind_one_that_waits",
            "kube command_client::a_reply_that_does_not_come_is_an_error_and_the_stream_is_forgotten",
            "kube command_client::a_stream_that_the_server_rejects_is_an_error",
        ];
    "K-21" "" Both "The end of a direction is one FIN, and the other direction goes on.";
        deviates [
            "FIN rides on the last DATA if that was not sent yet; that peer takes both, and behind sent DATA it is a frame of its own.";
            "kube command_client::shutting_input_down_is_one_empty_fin_and_output_goes_on",
            "kube port_client::bytes_go_both_ways_and_each_direction_ends_by_itself",
        ];
    "K-22" "" Both "DATA with FIN is data and then the end.";
        held ["kube command_server::data_and_fin_in_one_frame_are_data_and_then_the_end"];
    "K-23" "" Both "What came before a reset is read first; CANCEL is the end then, or an error, as the caller wants.";
        held [
            "session_pair spdystream::cancel_behind_data_is_its_end_and_another_status_is_an_error",
            "session_pair spdystream::cancel_is_the_end_at_the_callers_choice_and_never_instead_of_a_reply",
        ];
    "K-24" "" Both "A stream whose own direction has ended is given up without a frame; for other peers with CANCEL.";
        held [
            "session_pair spdystream::a_stream_whose_own_direction_has_ended_is_given_up_in_silence",
            "session_pair spdystream::a_handle_dropped_before_its_fin_is_sent_leaves_no_reset_behind",
        ];
    "K-25" "" Both "Frames for streams that are unknown or over end nothing.";
        held [
            "session_pair spdystream::frames_for_streams_that_are_unknown_or_over_end_nothing",
            "session_pair spdystream::data_behind_fin_is_dropped_and_our_direction_goes_on",
        ];
    "K-26" "" Both "No HEADERS go out that nobody asked for.";
        held ["kube session::no_headers_frame_is_sent_unless_asked"];
    "K-27" "" Both "A second SYN_REPLY, and ids of the wrong parity, are borne.";
        held [
            "session_pair spdystream::a_second_syn_reply_is_ignored_in_every_state",
            "session_pair spdystream::ids_of_either_parity_are_taken_and_our_own_go_on_behind_them",
        ];
    "K-28" "" Both "Without windows, any amount goes either way.";
        held [
            "interop kubectl::exec::twenty_megabytes_come_out",
            "interop kubectl::exec::five_megabytes_go_through",
            "kube end_to_end::twenty_megabytes_go_each_way_without_a_window",
            "session_pair spdystream::windows_neither_hold_back_what_is_sent_nor_come_back_for_what_is_read",
        ];
    "K-29" "" Both "Without windows, neither SETTINGS nor WINDOW_UPDATE is sent, but for empty SETTINGS while reading is paused, and no overrun is an error.";
        held [
            "session_pair spdystream::in_a_pause_a_frame_that_is_not_answered_shows_whether_the_peer_is_there",
            "interop go_client::bulk_after_a_pause_that_is_probed",
            "kube end_to_end::twenty_megabytes_go_each_way_without_a_window",
            "session_pair spdystream::nothing_is_announced_and_a_server_waits_to_be_spoken_to",
            "session_pair spdystream::windows_neither_hold_back_what_is_sent_nor_come_back_for_what_is_read",
        ];
    "K-30" "" Both "Where nobody reads, reading stops at a limit, and with it the whole session.";
        held [
            "kube session::memory_is_bounded_where_nobody_reads_and_all_waits_with_it",
            "kube unread::all_connections_wait_for_a_target_that_does_not_read_and_nothing_is_lost_when_it_does",
            "kube unread::nobody_waits_for_a_target_that_does_not_read_while_there_is_room",
            "kube unread::a_connection_whose_target_does_not_read_is_reset_after_its_grace_time_and_all_others_go_on",
            "session_pair spdystream::what_nobody_reads_stops_the_transport_at_the_limit",
        ];
    "K-31" "" Both "Windows as in the draft are one option away.";
        held [
            "session_pair spdystream::windows_are_there_for_other_peers",
            "kube session::two_hundred_blocks_in_a_row_are_in_step_in_both_directions",
        ];
    "K-32" "" Both "A PING is echoed ahead of DATA, every time.";
        held ["kube session::pings_are_echoed_ahead_of_data_for_as_long_as_they_come"];
    "K-33" "" Both "Own PINGs are an option, have the ids of the role, and need an answer only if that was asked for.";
        held ["kube session::own_pings_are_optional_and_need_no_answer_unless_asked"];
    "K-34" "" Both "Silence in both directions ends the session in time: resets, GOAWAY, close.";
        held [
            "kube session::a_silent_session_ends_after_the_time_that_was_asked_for",
            "session_pair spdystream::silence_is_counted_from_the_last_frame_in_either_direction",
        ];
    "K-35" "" Both "GOAWAY is the last frame, behind all that was queued, and names the last stream.";
        held [
            "session_pair spdystream::goaway_is_the_last_frame_behind_all_that_was_queued",
            "kube command_server::a_command_ends_with_its_outputs_its_outcome_and_goaway_in_this_order",
        ];
    "K-36" "" Both "Behind GOAWAY the output is flushed and input is read until the client closes, within limits, so that TCP resets nothing, nor a proxy.";
        held [
            "driver graceful_end::a_peer_that_goes_on_sending_and_never_closes_is_closed_on_in_the_end",
            "interop kubectl::exec::a_reader_that_pauses_gets_all_although_its_input_is_ignored",
            "kube proxied::a_client_that_reads_late_loses_nothing_although_its_input_goes_on",
            "kube session::what_was_written_is_flushed_before_goaway_and_input_is_drained_behind_it",
            "driver graceful_end::a_peer_may_close_first_as_long_as_it_is_not_silent",
            "driver graceful_end::a_silent_peer_that_does_not_close_is_closed_on",
        ];
    "K-37" "" Both "Behind a GOAWAY of the peer nothing is opened, what arrived is read, and the end comes with the last stream.";
        held [
            "kube session::a_goaway_of_the_peer_ends_the_session_when_its_streams_have_ended",
            "session_pair spdystream::a_goaway_lets_what_is_there_be_read_and_the_end_behind_it_is_clean",
            "session_pair spdystream::a_goaway_behind_the_end_of_all_that_a_server_sends_ends_the_session",
            "session_pair spdystream::silence_ends_a_shutdown_that_a_stream_holds_up_and_a_session_that_never_spoke",
            "kube session::a_peer_that_vanishes_ends_every_stream",
        ];
    "K-38" "" Both "A peer that falls silent is noticed, and one that dies while nothing is read.";
        held [
            "kube gone::the_death_of_a_client_is_seen_although_its_input_is_not_read",
            "kube gone::a_client_that_lives_bears_a_pause_of_any_length",
            "kube session::own_pings_are_optional_and_need_no_answer_unless_asked",
            "kube session::a_silent_session_ends_after_the_time_that_was_asked_for",
            "kube command_server::a_client_that_takes_nothing_does_not_hold_the_end_up",
            "session_pair spdystream::a_stream_without_a_reply_is_reset_in_time_and_forgotten",
        ];
    "K-39" "" Server "A command starts with its last stream, in whatever order they come; a set that stays incomplete is told and closed.";
        held [
            "kube command_server::the_set_is_complete_in_whatever_order_it_comes",
            "kube command_server::a_set_that_stays_incomplete_is_told_and_the_connection_closed",
            "kube command_server::a_client_that_opens_nothing_or_no_error_stream_is_given_up_as_well",
            "kube command_server::streams_of_other_types_are_replied_to_and_ignored",
            "kube command_server::a_second_stream_of_a_type_is_reset_and_the_first_one_counts",
            "kube command_server::a_terminal_has_a_resize_stream_since_v3_and_no_stderr",
        ];
    "K-40" "" Client "Streams are opened in a fixed order, each behind the reply to the one before.";
        held ["kube command_client::streams_are_opened_in_order_each_behind_the_reply_to_the_one_before"];
    "K-41" "" Both "The outcome is JSON since v4 and text before, and comes in any pieces.";
        held [
            "kube command_server::the_outcome_is_json_since_v4_and_text_before",
            "kube command_client::the_outcome_is_read_in_single_bytes_whatever_ends_its_stream",
            "kube end_to_end::every_version_tells_the_outcome_in_its_way",
            "lib kube::remote_command::exit::what_makes_no_sense_is_a_failure_that_says_so",
        ];
    "K-42" "" Both "Outputs and the outcome are ended, by FIN or by reset, and nothing of them is lost.";
        held [
            "interop kubectl::exec::kubectl_is_back_at_once_when_the_command_has_ended",
            "interop kubectl::odd_servers::streams_that_are_reset_have_ended",
            "kube command_server::a_command_ends_with_its_outputs_its_outcome_and_goaway_in_this_order",
            "kube command_server::a_command_that_is_given_up_is_never_taken_for_a_success",
            "kube command_server::a_client_that_reads_late_loses_nothing_of_the_end",
            "kube command_client::an_end_as_of_a_go_server_loses_nothing",
            "kube command_client::a_connection_that_ends_without_an_outcome_is_no_success",
        ];
    "K-43" "" Both "The end of standard input reaches the command, and a command that wants no more reaches the client.";
        held [
            "interop kubectl::exec::five_megabytes_go_through",
            "interop kubectl::exec::a_command_that_ignores_its_input_ends_as_it_likes",
            "kube command_server::standard_input_comes_to_its_end",
            "kube command_server::a_command_that_wants_no_more_input_tells_its_client",
            "kube command_client::a_server_that_wants_no_more_input_stops_the_writer",
            "kube end_to_end::a_command_runs_over_any_transport",
        ];
    "K-44" "" Both "Sizes of the terminal are read however they are cut, the first one at once.";
        held [
            "kube command_server::sizes_arrive_however_their_bytes_are_cut",
            "kube command_client::streams_are_opened_in_order_each_behind_the_reply_to_the_one_before",
            "kube end_to_end::a_terminal_tells_its_sizes",
            "lib kube::remote_command::resize::objects_are_found_however_they_are_split_or_joined",
            "lib kube::remote_command::resize::what_is_no_size_is_skipped_to_the_next_line",
        ];
    "K-45" "" Both "A file is copied either way.";
        held ["interop kubectl::copy::files_and_folders_come_back_as_they_went"];
    "K-46" "" Both "v5 may be offered; over SPDY v4 is chosen.";
        held [
            "kube upgrade::the_answer_switches_and_names_the_protocol",
            "kube end_to_end::exec_works_from_the_request_to_the_exit_code",
        ];
    "K-47" "" Server "Streams are paired by their number, or as neighbours; what makes no sense is reset, what is missing is told.";
        held [
            "kube port_server::two_streams_are_a_pair_whichever_comes_first",
            "kube port_server::without_numbers_neighbours_are_a_pair",
            "kube port_server::a_number_is_never_taken_for_the_id_of_a_stream",
            "kube port_server::half_a_pair_is_told_in_time_and_the_others_live",
            "kube port_server::a_second_stream_of_a_pair_is_told_on_its_error_stream_and_reset",
            "kube port_server::a_client_that_takes_a_stream_back_may_ask_again_with_the_same_number",
            "kube stuck::halves_that_never_become_pairs_stop_at_the_limit_and_go_in_time",
            "kube port_server::a_port_or_a_type_that_is_none_is_reset_and_the_session_goes_on",
            "kube port_client::a_connection_is_an_error_stream_its_end_and_a_data_stream",
        ];
    "K-48" "" Both "A hundred connections at once end each by itself.";
        held [
            "interop kubectl::forward::a_hundred_connections_at_once",
            "interop kubectl::forward::connections_come_and_go_for_as_long_as_the_session_lasts",
            "kube end_to_end::a_hundred_forwarded_connections_live_and_end_each_by_itself",
        ];
    "K-49" "" Both "A target that cannot be reached is a text on the error stream and a reset of both.";
        held [
            "interop kubectl::forward::a_target_that_refuses_is_told",
            "kube port_server::a_failure_is_a_text_and_then_both_streams_are_reset",
            "kube port_server::a_target_that_fails_is_told",
            "kube port_client::what_the_server_says_is_the_error_of_the_reader",
        ];
    "K-50" "" Both "The end of the target ends both streams, that of the client the target's input; each direction ends by itself.";
        held [
            "kube port_server::the_end_of_the_target_ends_both_streams",
            "kube port_server::the_end_of_the_client_ends_the_targets_input_and_the_answer_still_comes",
            "kube port_server::a_client_that_resets_the_data_stream_closes_the_target",
            "kube port_client::a_copy_ends_with_both_directions_or_with_what_the_server_says",
        ];
    "K-51" "" Both "Messages of a WebSocket carry the bytes of a session, in any split.";
        held [
            "ws splits::any_messages_and_any_reads_give_the_bytes",
            "ws splits::any_writes_give_the_bytes_in_messages_of_legal_size",
            "ws reading::empty_messages_and_pings_are_passed_over",
            "ws sessions::messages_of_any_size_carry_a_session",
            "ws sessions::text_ends_the_session_with_an_error_that_says_so_and_close_1003",
            "ws libraries::fragments_with_pings_between_them_are_whole_messages",
            "ws libraries::a_hundred_connections_go_through_one_websocket",
        ];
    "K-52" "" Server "The tunnel's protocol is chosen and named.";
        held [
            "interop kubectl::forward::a_hundred_connections_at_once",
            "ws libraries::another_subprotocol_is_refused",
        ];
    "K-53" "" Both "The close of a WebSocket is the end of the bytes, or an error; ours comes behind GOAWAY.";
        held [
            "ws sessions::goaway_precedes_close_1000",
            "ws libraries::the_servers_goaway_precedes_its_close",
            "ws reading::the_end_is_a_close_with_1000",
            "ws reading::any_other_close_is_an_error_that_names_the_code_and_the_reason",
            "ws reading::messages_that_end_without_a_close_are_no_end",
            "ws libraries::the_code_of_a_clients_close_decides_how_the_session_has_ended",
            "ws sessions::a_peer_that_closes_ends_the_session_and_nothing_is_sent_behind_that",
        ];
    "K-54" "" Server "A client whose WebSocket is refused comes back with the Upgrade.";
        held [
            "interop kubectl::odd_servers::a_server_without_websockets_is_asked_for_spdy",
            "interop kubectl::exec::outputs_are_apart_and_the_code_is_the_commands",
        ];
    "K-55" "" Server "Tokens of a container runtime are used once, expire, and are bounded.";
        held [
            "kube tokens::a_token_is_redeemed_once",
            "kube tokens::a_token_expires_and_its_value_is_dropped_at_the_next_call",
            "kube tokens::beyond_the_capacity_the_caller_is_to_come_again",
            "kube tokens::a_url_works_once_for_get_and_post_and_for_what_it_was_given_out",
            "kube tokens::a_url_that_has_expired_is_not_found",
            "kube tokens::of_many_calls_of_one_url_at_once_one_succeeds",
        ];
    "K-56" "" Both "A session runs on any transport, with the same interface.";
        held [
            "kube end_to_end::a_command_runs_over_any_transport",
            "kube end_to_end::exec_works_from_the_request_to_the_exit_code",
        ];
    "K-57" "" Both "Nothing that a peer sends makes a panic.";
        held [
            "kube hostile::a_server_of_commands_survives_any_client", "kube hostile::a_server_of_ports_survives_any_client",
            "kube hostile::a_client_of_commands_survives_any_server", "kube hostile::a_client_of_ports_survives_any_server",
            "session_properties hostile_frames_neither_panic_nor_break_the_ledger",
        ];
}

//! C-001 to C-054: connection, framing, streams, errors, and the frames that open and end streams.

rows! {
    "C-001" "2.1, 2.6.6" Both "Before the transport is closed, GOAWAY goes out.";
        held [
            "driver graceful_end::dropping_every_handle_ends_the_session_once_its_streams_have_ended",
            "driver graceful_end::an_idle_session_shuts_down_in_two_steps",
            "driver foreign::bytes_that_are_not_spdy_get_go_away_and_an_error_that_says_what_they_are",
        ];
    "C-002" "2.2" Both "Integers are big-endian and fields lie where the drawings put them.";
        held [
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
            "codec_vectors byte_exact_vectors_are_encoded_to_the_same_bytes",
        ];
    "C-003" "2.2.1" Both "A control frame of up to 8192 octets is accepted, whatever the limit is set to.";
        held ["codec_framing control_frames_above_the_limit_are_drained"];
    "C-004" "draft 2" Both "A control frame of unknown type is skipped.";
        later ["SPDY/2"; "U-09 is the same rule for SPDY/3.1."];
    "C-005" "draft 2" Both "SYN_STREAM of an unsupported version gets UNSUPPORTED_VERSION.";
        later ["SPDY/2"; "Other versions end the session, see U-10."; "codec_vectors spdy2_vectors_are_refused_by_name"];
    "C-006" "draft 2" Both "Other control frames of an unsupported version are skipped.";
        later [
            "SPDY/2"; "Other versions end the session, see U-10."; "codec_framing other_versions_are_refused_whatever_the_type",
        ];
    "C-007" "2.2.2" Both "DATA for a stream that is not open gets INVALID_STREAM, and no answer once we have sent GOAWAY.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair rules::data_for_unknown_ids_behind_our_goaway_is_dropped_and_credited",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-008" "draft 2" Both "DATA for a stream that does not exist gets INVALID_STREAM.";
        later ["SPDY/2"];
    "C-009" "2.2.2" Both "DATA ahead of SYN_REPLY resets the stream with PROTOCOL_ERROR.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "raw_streams half_close::data_after_fin_and_second_replies_reset_the_stream_only",
        ];
    "C-010" "draft 2" Both "DATA ahead of SYN_REPLY closes the connection.";
        later ["SPDY/2"];
    "C-011" "2.2.2" Both "A peer that keeps sending DATA for invalid ids may lose the session.";
        held [
            "session_pair limits::a_flood_of_stream_errors_ends_the_session",
            "session_pair patience::frames_for_closed_streams_are_answered_a_few_times_and_dropped_from_then_on",
        ];
    "C-012" "2.2.2" Both "DATA of Length 0 is legal, with and without FIN.";
        held [
            "codec_framing data_comes_in_pieces_without_a_copy",
            "session_pair patience::a_heartbeat_of_empty_data_goes_on_for_ever",
            "session_pair streams::fin_half_closes_on_every_kind_of_frame",
        ];
    "C-013" "2.2.2" Both "DATA may be compressed (flag 0x02).";
        not_applicable ["Withdrawn from the text before any peer had it; see U-28 for the flag on receipt."];
    "C-014" "2.3.2" Both "Ids of a client's streams are odd, those of a server's even.";
        held [
            "session_pair streams::ids_are_given_when_syn_stream_is_emitted_so_they_rise_whatever_was_cancelled",
            "raw_streams open::unidirectional_streams_carry_bytes_one_way",
            "session_pair states::ids_of_the_receivers_parity_end_the_session",
        ];
    "C-015" "2.3.2" Both "0 is no stream id.";
        held ["codec_framing stream_0_is_refused_but_in_data", "session_pair states::data_on_stream_0_ends_the_session"];
    "C-016" "2.3.2" Both "Ids of new streams rise.";
        held [
            "session_pair streams::ids_are_given_when_syn_stream_is_emitted_so_they_rise_whatever_was_cancelled",
            "raw_streams limit::opens_wait_behind_the_limit_and_are_released_in_order",
        ];
    "C-017" "2.3.2" Both "Ids do not wrap: behind 2^31-1 no stream is opened.";
        held ["session_pair streams::used_up_ids_fail_new_streams_cleanly_and_leave_old_ones_alone"];
    "C-018" "2.3.2" Both "SYN_STREAM with an id below an earlier one ends the session.";
        held [
            "session_pair states::a_second_syn_stream_resets_the_stream_and_a_lower_id_ends_the_session",
            "session_pair states::ids_in_gaps_count_as_closed",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-019" "2.3.2" Both "A second SYN_STREAM for one stream resets it with PROTOCOL_ERROR.";
        held [
            "session_pair states::a_second_syn_stream_resets_the_stream_and_a_lower_id_ends_the_session",
            "session_pair rules::a_second_syn_stream_for_an_open_stream_below_the_highest_resets_it_only",
        ];
    "C-020" "draft 2" Both "Several SYN_STREAMs for one active stream reset it.";
        later ["SPDY/2"];
    "C-021" "2.3.2" Both "A recipient may decline a stream, with REFUSED_STREAM.";
        held [
            "raw_streams open::every_status_of_a_rejection_reaches_either_side",
            "session_pair streams::a_stream_over_our_limit_is_refused_and_later_ones_work",
        ];
    "C-022" "draft 2" Both "Data in flight for a declined stream is ignored.";
        later ["SPDY/2"; "Done in SPDY/3.1 too."; "session_pair streams::a_stream_over_our_limit_is_refused_and_later_ones_work"];
    "C-023" "2.3.2" Both "HEADERS and DATA may come right behind SYN_STREAM, ahead of the reply.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "http_server a_body_that_arrives_with_its_head_in_one_read_is_not_lost",
            "raw_streams open::bytes_may_be_written_before_the_reply",
        ];
    "C-024" "2.3.2" Both "Every stream that is not unidirectional is answered, by SYN_REPLY or RST_STREAM.";
        held [
            "http_server a_request_is_answered_with_reply_data_and_fin",
            "http_server a_failing_service_resets_its_stream_and_no_other",
            "http_server a_panic_of_the_service_resets_its_stream_and_no_other",
            "raw_streams open::a_dropped_incoming_is_cancelled",
        ];
    "C-025" "2.3.2.1" Both "The recipient of a unidirectional stream sends nothing on it.";
        held [
            "session_pair streams::unidirectional_streams_carry_bytes_one_way_and_need_no_reply",
            "raw_streams open::unidirectional_streams_carry_bytes_one_way",
        ];
    "C-026" "2.3.3" Both "Streams are served in the order of their priority, as far as possible.";
        held [
            "session_pair flow::priority_is_strict_but_every_32nd_turn_goes_to_the_lowest",
            "lib session::sched::strict_priority_and_round_robin_inside",
        ];
    "C-027" "2.3.4" Both "HEADERS may come any number of times, between DATA, until FIN.";
        held [
            "session_pair patience::any_number_of_headers_may_come_on_a_stream_that_takes_them",
            "session_pair streams::headers_stay_where_they_were_written_between_data", "raw_streams open::headers_go_both_ways",
        ];
    "C-028" "2.3.5" Both "FIN may ride on SYN_STREAM, SYN_REPLY, HEADERS and DATA.";
        held ["session_pair streams::fin_half_closes_on_every_kind_of_frame"];
    "C-029" "2.3.6" Both "Behind our FIN nothing more of that stream goes out but WINDOW_UPDATE and RST_STREAM.";
        held [
            "session_pair rules::behind_our_fin_only_credit_and_a_reset_go_out",
            "raw_streams half_close::our_half_close_leaves_the_peer_sending",
        ];
    "C-030" "2.3.6" Both "DATA behind the peer's FIN gets STREAM_ALREADY_CLOSED.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "raw_streams half_close::data_after_fin_and_second_replies_reset_the_stream_only",
        ];
    "C-031" "2.3.7" Both "Streams that are open when the transport is lost fail, and never look whole.";
        held [
            "session_pair shutdown::a_lost_transport_fails_open_streams_and_no_clean_end_is_shown",
            "driver lost_transport::a_transport_cut_at_any_byte_ends_every_wait_with_an_error",
            "http_server a_request_body_that_is_cut_off_is_an_error",
        ];
    "C-032" "2.3.7" Both "Sending on a stream stops when RST_STREAM arrives.";
        held [
            "session_pair wakes::a_flush_cut_off_by_a_reset_is_an_error",
            "raw_streams half_close::a_reset_of_the_peer_wakes_every_wait",
        ];
    "C-033" "2.3.7" Both "Frames that were in flight when we reset a stream are borne with.";
        held [
            "raw_streams half_close::our_reset_drops_what_was_queued_and_fails_both_directions",
            "session_pair limits::our_own_cancels_and_what_they_cause_are_never_counted",
        ];
    "C-034" "2.3.7" Both "DATA for a stream that was open and has closed gets PROTOCOL_ERROR.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair states::ids_in_gaps_count_as_closed",
        ];
    "C-035" "draft 2" Both "Data on a stream that was torn down is ignored.";
        later ["SPDY/2"];
    "C-036" "2.4.1" Both "A session error sends GOAWAY with the last id received and the status, then closes.";
        deviates [
            "The id is the highest that the application was given, which is what section 2.6.6 means it for: what is above it can safely be sent again.";
            "session_pair shutdown::a_session_error_says_goaway_with_the_last_accepted_id_and_fails_every_stream",
            "driver foreign::bytes_that_are_not_spdy_get_go_away_and_an_error_that_says_what_they_are",
        ];
    "C-037" "2.4.1" Both "Header blocks are inflated even where the frame is rejected.";
        held [
            "driver context::a_server_stays_in_step_behind_every_block_it_does_not_use",
            "driver context::a_client_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "C-038" "2.4.2" Both "A stream error is RST_STREAM with id and status, and the session goes on.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair states::a_stream_error_is_told_to_the_waiting_application",
        ];
    "C-039" "2.4.2" Both "Frames on a stream that we have reset lead to further RST_STREAMs, which may be joined into one.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "lib session::limits::tombstones_keep_the_last_256",
        ];
    "C-040" "2.4.2" Both "RST_STREAM is never answered by RST_STREAM.";
        held ["session_pair states::rst_stream_is_never_answered_and_ends_whatever_is_open"];
    "C-041" "2.5" Both "No stream holds the connection for itself: data of concurrent streams is interleaved.";
        held [
            "session_pair flow::data_frames_are_16_kib_and_take_turns",
            "session_pair flow::priority_is_strict_but_every_32nd_turn_goes_to_the_lowest",
        ];
    "C-042" "2.6.1" Both "Associated-To-Stream-ID is 0 on streams that stand alone.";
        held ["http_client a_get_is_one_syn_stream_with_fin"];
    "C-043" "2.6.1, 2.6.2" Both "SYN_STREAM or SYN_REPLY beyond our limit may get FRAME_TOO_LARGE.";
        held [
            "session_pair streams::faulty_blocks_end_their_stream_only",
            "raw_streams open::headers_too_large_for_the_limit_are_reset_and_not_handed_out",
        ];
    "C-044" "draft 2" Both "SYN_STREAM has a Length of at least 12.";
        later ["SPDY/2"];
    "C-045" "draft 2" Both "SYN_REPLY has a Length of at least 8, HEADERS of 8 or 4.";
        later ["SPDY/2"];
    "C-046" "2.6.1" Both "The slot byte of SYN_STREAM is unused in SPDY/3.1.";
        held ["codec_framing reserved_bits_and_unknown_flags_are_ignored"];
    "C-047" "2.6.2" Both "A second SYN_REPLY resets the stream with STREAM_IN_USE.";
        deviates [
            "An HTTP client skips one reply with a 1xx status, which node sends; the reply behind that is the first.";
            "session_pair streams::one_interim_reply_is_skipped_where_that_is_wanted",
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-048" "draft 2" Both "A second SYN_REPLY resets the stream with PROTOCOL_ERROR.";
        later ["SPDY/2"];
    "C-049" "2.6.3" Both "RST_STREAM has no flags.";
        held [
            "codec_vectors byte_exact_vectors_are_encoded_to_the_same_bytes",
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
        ];
    "C-050" "2.6.3" Both "RST_STREAM has a Length of 8.";
        held ["codec_framing fixed_frames_need_their_exact_length"];
    "C-051" "2.6.3" Both "0 is no status of RST_STREAM.";
        held ["session_pair rules::status_0_is_never_sent"];
    "C-052" "2.6.3, 2.6.6" Both "PROTOCOL_ERROR is for what no other status says better.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "session_pair flow::credit_of_zero_is_an_error_of_the_stream_or_of_the_session",
        ];
    "C-053" "2.6.3" Both "A block that is too large and was not inflated to its end costs the session.";
        held [
            "codec_framing a_bomb_ends_the_session_and_a_large_block_only_its_stream",
            "http_server headers_beyond_four_times_the_limit_end_the_session",
        ];
    "C-054" "2.6.3" Both "Behind a received RST_STREAM nothing more is sent on the stream.";
        held [
            "session_pair wakes::a_flush_cut_off_by_a_reset_is_an_error",
            "session_pair streams::a_reset_reaches_every_waiter_at_once_with_its_status",
        ];
}

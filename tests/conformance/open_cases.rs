//! U-01 to U-36: cases that the drafts leave open, and the reaction that we chose.

rows! {
    "U-01" "" Both "Stream id 0 in DATA, SYN_STREAM, SYN_REPLY, HEADERS or RST_STREAM ends the session.";
        held ["codec_framing stream_0_is_refused_but_in_data", "session_pair states::data_on_stream_0_ends_the_session"];
    "U-02" "" Both "SYN_STREAM with an id of the receiver's own parity ends the session.";
        held ["session_pair states::ids_of_the_receivers_parity_end_the_session"];
    "U-03" "" Both "Reserved bits are masked.";
        held ["codec_framing reserved_bits_and_unknown_flags_are_ignored"];
    "U-04" "" Both "Unknown flags are ignored, and none are sent.";
        held [
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
            "codec_vectors byte_exact_vectors_are_encoded_to_the_same_bytes",
        ];
    "U-05" "" Both "A fixed frame of the wrong Length, or one shorter than its fixed part, ends the session.";
        held ["codec_framing fixed_frames_need_their_exact_length"];
    "U-06" "" Both "RST_STREAM with status 0 ends its stream without an answer.";
        held ["session_pair rules::a_status_that_no_draft_knows_ends_the_stream_without_an_answer"];
    "U-07" "" Both "RST_STREAM with an unknown status ends its stream as any other.";
        held ["session_pair rules::a_status_that_no_draft_knows_ends_the_stream_without_an_answer"];
    "U-08" "" Both "GOAWAY with an unknown status is an error of the peer.";
        held ["session_pair rules::a_goaway_status_that_no_draft_knows_is_an_error_and_the_latest_error_counts"];
    "U-09" "" Both "Control frames of unknown type, NOOP and CREDENTIAL among them, are skipped by their Length.";
        held [
            "codec_framing unknown_types_are_skipped_by_length",
            "session_pair limits::floods_of_pings_settings_and_unknown_frames_end_the_session",
        ];
    "U-10" "" Both "A control frame of another version ends the session.";
        held [
            "codec_framing other_versions_are_refused_whatever_the_type",
            "driver foreign::bytes_that_are_not_spdy_get_go_away_and_an_error_that_says_what_they_are",
        ];
    "U-11" "" Both "SYN_REPLY out of place: INVALID_STREAM for unknown and closed streams, STREAM_ALREADY_CLOSED behind FIN, PROTOCOL_ERROR for the sender's own.";
        held [
            "session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table",
            "lib session::state::replies_are_judged_by_creator_and_state",
        ];
    "U-12" "" Both "HEADERS out of place: INVALID_STREAM for unknown and closed streams, STREAM_ALREADY_CLOSED behind FIN, PROTOCOL_ERROR before the reply.";
        held ["session_pair states::every_frame_in_every_state_gets_the_reaction_of_the_table"];
    "U-13" "" Both "A header that a later HEADERS frame repeats is appended.";
        held ["http_client repeated_trailers_are_appended_and_pseudo_headers_among_them_are_an_error"];
    "U-14" "" Both "WINDOW_UPDATE for unknown and closed streams is ignored.";
        held [
            "session_pair flow::credit_for_unknown_closed_and_half_closed_streams_is_ignored",
            "session_pair states::window_update_is_never_answered",
        ];
    "U-15" "" Both "Credit of 0 resets the stream, or ends the session where it is for the connection.";
        held ["session_pair flow::credit_of_zero_is_an_error_of_the_stream_or_of_the_session"];
    "U-16" "" Both "A peer that overruns a stream window loses the stream, the connection window the session.";
        held [
            "session_pair flow::a_peer_that_overruns_a_stream_window_has_it_reset_and_the_bytes_count",
            "session_pair flow::a_peer_that_overruns_the_connection_window_loses_the_session",
        ];
    "U-17" "" Both "An initial window above 2^31-1 ends the session.";
        held ["session_pair flow::an_announced_window_above_the_maximum_ends_the_session"];
    "U-18" "" Both "Streams beyond the announced limit get REFUSED_STREAM.";
        held [
            "session_pair streams::a_stream_over_our_limit_is_refused_and_later_ones_work",
            "http_server no_more_requests_than_announced_are_served_at_once",
        ];
    "U-19" "" Both "A name with an upper-case letter, a control or a non-ASCII byte resets the stream.";
        held [
            "lib headers::names::names_are_lower_case_printable_ascii",
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair streams::faulty_blocks_end_their_stream_only",
        ];
    "U-20" "" Both "A name that occurs twice resets the stream.";
        held [
            "lib headers::names::duplicates_are_found_at_every_size",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "U-21" "" Both "Headers for one hop are stripped on receipt.";
        held [
            "lib http::message::received_headers_of_one_hop_are_stripped",
            "http_server the_request_has_its_host_as_header_and_in_its_uri",
            "lib http::message::received_response_keeps_cookies_apart",
        ];
    "U-22" "" Both "A block that is cut short or goes on too long resets the stream.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair streams::faulty_blocks_end_their_stream_only",
        ];
    "U-23" "" Both "A block that does not inflate, ends the zlib stream or wants another dictionary ends the session.";
        held [
            "lib headers::inflate::a_lost_context_says_why", "driver foreign::a_block_with_a_foreign_dictionary_ends_the_session",
        ];
    "U-24" "" Both "A block beyond our limit is inflated to its end; a request gets 431 or FRAME_TOO_LARGE, a response FRAME_TOO_LARGE.";
        held [
            "http_server oversized_headers_get_431_and_the_next_request_works",
            "raw_streams open::headers_too_large_for_the_limit_are_reset_and_not_handed_out",
            "driver context::a_client_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "U-25" "" Client "A :status that does not begin with three digits resets the stream.";
        held ["http_client a_reply_without_status_or_version_is_reset", "lib http::message::received_status_is_its_first_word"];
    "U-26" "" Both "Pseudo headers among the trailers reset the stream.";
        held [
            "http_server pseudo_headers_in_trailers_are_an_error",
            "http_client repeated_trailers_are_appended_and_pseudo_headers_among_them_are_an_error",
        ];
    "U-27" "" Both "PING 0 goes by its parity: a client echoes it, a server does not.";
        held ["session_pair liveness::pings_of_our_parity_that_we_did_not_send_are_ignored"];
    "U-28" "" Both "DATA with flag 0x02, once compression, resets the stream.";
        deviates [
            "The bit is ignored like all unknown ones: no implementation has ever compressed DATA, and the common peers ignore it.";
            "codec_framing reserved_bits_and_unknown_flags_are_ignored",
        ];
    "U-29" "" Client "A push for a stream that is not open, or one that is not unidirectional, is reset.";
        later [
            "server push"; "Every stream of a server is refused by an HTTP client.";
            "http_client a_push_is_refused_and_the_header_context_goes_on",
        ];
    "U-30" "" Client "A push that was not looked at is declined by REFUSED_STREAM.";
        held ["http_client a_push_is_refused_and_the_header_context_goes_on"];
    "U-31" "" Server "A client's stream that is unidirectional or associated: PROTOCOL_ERROR in HTTP, accepted as a raw stream.";
        held [
            "http_server what_a_client_may_not_open_is_reset", "raw_streams open::accept_shows_what_the_syn_stream_carried",
            "raw_streams open::unidirectional_streams_carry_bytes_one_way",
        ];
    "U-32" "" Both "A header block of no bytes is empty and leaves the context alone.";
        held ["codec_framing a_block_of_no_bytes_is_empty_and_bypasses_zlib"];
    "U-33" "" Both "Of several GOAWAYs the lowest id and the latest error count.";
        held [
            "session_pair shutdown::a_second_goaway_only_lowers_the_last_good_id",
            "session_pair rules::a_goaway_status_that_no_draft_knows_is_an_error_and_the_latest_error_counts",
        ];
    "U-34" "" Both "SETTINGS ids 0 and above 8 are ignored.";
        held ["codec_framing settings_are_taken_entry_by_entry"];
    "U-35" "" Both "An initial window flagged PERSISTED is not applied.";
        held ["session_pair rules::a_request_to_persist_changes_nothing_and_a_persisted_value_is_not_applied"];
    "U-36" "" Both "A SETTINGS count that contradicts the Length ends the session before anything is made of it.";
        held [
            "codec_framing a_settings_count_that_lies_is_refused_before_its_entries",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
}

//! C-115 to C-175: header blocks, their compression, HTTP, server push, deployment.

rows! {
    "C-115" "2.6.10" Both "Names and values fit a frame.";
        held ["lib headers::builder::a_refused_header_changes_nothing", "lib headers::deflate::the_largest_block_fits_a_frame"];
    "C-116" "2.6.10" Both "Every name has a value, which may be empty.";
        held ["lib headers::builder::builds_what_the_parser_accepts"];
    "C-117" "2.6.10" Both "Names are US-ASCII in lower case.";
        held [
            "lib headers::names::names_are_lower_case_printable_ascii", "lib headers::builder::a_refused_header_changes_nothing",
        ];
    "C-118" "2.6.10" Both "An empty name resets the stream.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-119" "2.6.10" Both "A name occurs once; repeated headers are one entry, joined by NUL.";
        held [
            "lib headers::builder::a_refused_header_changes_nothing", "lib http::message::request_repeated_headers_are_joined",
            "lib http::message::response_headers_are_joined_and_stripped",
        ];
    "C-120" "2.6.10" Both "A value that starts or ends with NUL or has two in a row resets the stream.";
        held [
            "lib headers::inflate::the_context_survives_faulty_and_large_blocks",
            "session_pair vectors::malformed_vectors_get_the_reaction_that_the_drafts_demand",
        ];
    "C-121" "draft 2" Both "An empty value resets the stream.";
        later ["SPDY/2"];
    "C-122" "draft 2" Both "Two NULs in a row reset the stream.";
        later ["SPDY/2"];
    "C-123" "2.6.10.1" Both "Blocks are in zlib format, compressed as hard as their sender likes.";
        held [
            "lib headers::inflate::every_level_and_window_is_accepted",
            "lib headers::deflate::stored_blocks_continue_a_zlib_stream",
        ];
    "C-124" "2.6.10.1" Both "One zlib stream for each direction spans SYN_STREAM, SYN_REPLY and HEADERS.";
        held [
            "codec_properties decoding_inverts_encoding_compressed",
            "codec_vectors golden_vectors_decode_to_what_they_say_however_they_are_split",
            "driver context::a_client_stays_in_step_behind_every_block_it_does_not_use",
        ];
    "C-125" "2.6.10.1" Both "It starts with the dictionary of its version; another ends the session.";
        held [
            "lib headers::deflate::the_stream_starts_once_and_blocks_end_with_a_marker",
            "lib headers::dictionary::dictionaries_have_the_published_checksums",
            "driver foreign::a_block_with_a_foreign_dictionary_ends_the_session",
        ];
    "C-126" "2.6.10.1" Both "Each block ends with a sync flush.";
        held ["lib headers::deflate::the_stream_starts_once_and_blocks_end_with_a_marker"];
    "C-127" "2.6.10.1" Both "Any zlib window is accepted.";
        held ["lib headers::inflate::every_level_and_window_is_accepted"];
    "C-128" "3.1" Client "A client has one session for each origin.";
        later ["connection pool"; "Each call of the connector dials."];
    "C-129" "3.1.1" Client "A client that closes sends GOAWAY.";
        held ["http_client the_connection_ends_with_its_last_sender_and_stream"];
    "C-130" "3.1.1" Client "A client copes with a connection that ends without GOAWAY.";
        held ["http_client a_lost_connection_fails_every_response_and_body"];
    "C-131" "3.2.1" Client "A request without a body has FIN on SYN_STREAM, another on its last DATA.";
        held [
            "http_client a_get_is_one_syn_stream_with_fin", "http_client a_post_has_its_content_length_and_fin_on_its_last_data",
        ];
    "C-132" "3.2.1" Client "A request has :method, :path and :version.";
        held ["http_client a_get_is_one_syn_stream_with_fin"];
    "C-133" "3.2.1" Client "A request has :host and :scheme.";
        deviates [
            "CONNECT, which the draft does not know, has no :scheme unless its URI has one.";
            "lib http::message::request_connect_targets_host_and_port", "http_client a_get_is_one_syn_stream_with_fin",
            "lib http::message::request_host_comes_from_the_header_when_the_uri_has_none",
        ];
    "C-134" "3.2.1, 3.2.2" Both "Header names are in lower case.";
        held ["lib headers::builder::a_refused_header_changes_nothing", "http_client a_get_is_one_syn_stream_with_fin"];
    "C-135" "3.2.1" Client "Requests have no header that is for one hop.";
        held ["lib http::message::request_headers_of_one_hop_are_stripped", "http_client a_get_is_one_syn_stream_with_fin"];
    "C-136" "draft 2" Both "Connection, Keep-Alive and Host are ignored; chunked coding is invalid.";
        later ["SPDY/2"];
    "C-137" "3.2.1" Client "A client takes gzip whatever it has said it takes.";
        deviates [
            "Bodies are given as they come, as by hyper; a layer decodes them.";
            "tower_stack compression::a_compressed_body_arrives_compressed",
            "tower_stack compression::the_client_layer_asks_for_gzip_and_undoes_it",
        ];
    "C-138" "3.2.1" Server "A request body of another length than announced gets 400.";
        held [
            "http_server a_body_of_the_wrong_length_gets_400", "http_server a_service_that_hides_the_wrong_length_still_gets_400",
            "http_server a_body_of_the_wrong_length_behind_the_answer_is_reset",
            "http_server an_upload_longer_than_said_by_a_whole_window_gets_400",
        ];
    "C-139" "3.2.1" Client "POST has a Content-Length, where the length is known.";
        held [
            "http_client a_post_has_its_content_length_and_fin_on_its_last_data",
            "lib http::message::request_length_is_announced_where_a_body_is_expected",
        ];
    "C-140" "3.2.1" Client "A client that is blocked on a resource raises its priority.";
        not_applicable ["The application knows what blocks it; it gives a priority with each request."];
    "C-141" "3.2.1" Client "Images have the lowest priority.";
        not_applicable ["The application knows what is an image; it gives a priority with each request."];
    "C-142" "3.2.1" Server "A request that lacks a pseudo header gets 400.";
        deviates [
            "CONNECT, which the draft does not know, needs no :scheme.";
            "lib http::message::received_connect_is_in_authority_form",
            "http_server a_request_that_lacks_a_pseudo_header_gets_400_and_the_next_one_works",
            "lib http::message::received_request_lacking_a_name_is_bad",
        ];
    "C-143" "draft 2" Server "A request without method, url or version gets 400.";
        later ["SPDY/2"];
    "C-144" "3.2.2" Both "A response has :status, with or without a reason, and :version.";
        held [
            "lib http::message::response_has_status_version_date_and_length", "http_client statuses_come_with_or_without_a_reason",
        ];
    "C-145" "3.2.2" Server "Responses have no header that is for one hop.";
        held [
            "http_server a_date_is_not_overwritten_and_hop_by_hop_headers_are_left_out",
            "lib http::message::response_headers_are_joined_and_stripped",
        ];
    "C-146" "3.2.2" Client "Content-Length of a response is advice.";
        held ["http_client a_wrong_content_length_of_a_response_is_ignored"];
    "C-147" "3.2.2" Client "Where a response is of another length, Content-Length is ignored.";
        held [
            "http_client a_wrong_content_length_of_a_response_is_ignored",
            "http_client a_body_far_longer_than_its_content_length_does_not_hang",
        ];
    "C-148" "3.2.2" Client "A reply without :status or :version resets the stream.";
        held ["http_client a_reply_without_status_or_version_is_reset"];
    "C-149" "3.2.3.2" Server "Authentication by connection needs a realm or holds everything else back.";
        not_applicable ["Authentication is the application's; schemes that belong to a connection do not fit a multiplexed one."];
    "C-150" "3.2.3.2" Client "A client challenged by such a scheme sends nothing new until it is through.";
        not_applicable ["Authentication is the application's; schemes that belong to a connection do not fit a multiplexed one."];
    "C-151" "3.3" Client "Pushes for other origins are refused.";
        held ["http_client a_push_is_refused_and_the_header_context_goes_on"];
    "C-152" "3.3" Client "A push that was taken is cached.";
        later ["server push"];
    "C-153" "3.3, 5.4" Client "Request headers that a push inherits are stored with it.";
        later ["server push"];
    "C-154" "3.3" Client "Pushes are limited.";
        held ["http_client a_push_is_refused_and_the_header_context_goes_on"];
    "C-155" "3.3.1" Server "A push is a unidirectional SYN_STREAM with an associated stream, :scheme, :host and :path.";
        later ["server push"];
    "C-156" "3.3.1" Server "The associated stream is open.";
        later ["server push"];
    "C-157" "3.3.1" Server "A push with no associated stream is illegal.";
        later ["server push"];
    "C-158" "3.3.1" Server "A push is announced before what refers to it.";
        later ["server push"];
    "C-159" "3.3.1" Server "Only what GET would give is pushed.";
        later ["server push"];
    "C-160" "3.3.1" Server "Later HEADERS of a push repeat nothing.";
        later ["server push"];
    "C-161" "3.3.1" Server "The headers of a push are complete before its DATA.";
        later ["server push"];
    "C-162" "3.3.2" Client "What is being pushed is not asked for.";
        later ["server push"];
    "C-163" "3.3.2" Client "A pushed stream with id 0 ends the session.";
        held ["codec_framing stream_0_is_refused_but_in_data"];
    "C-164" "draft 2" Client "SYN_STREAM of a server without associated stream gets INVALID_STREAM.";
        later ["SPDY/2"];
    "C-165" "3.3.2" Client "A push without :host, :scheme or :path is reset.";
        later [
            "server push"; "Every push is reset, with REFUSED_STREAM.";
            "http_client a_push_is_refused_and_the_header_context_goes_on",
        ];
    "C-166" "draft 2" Client "SYN_STREAM of a server without url is reset.";
        later ["SPDY/2"];
    "C-167" "3.3.2" Server "A push that the client cancels stops.";
        later ["server push"];
    "C-168" "3.3.2" Server "A cancelled stream takes its pushes with it.";
        later ["server push"];
    "C-169" "3.3.2" Client "A push whose HEADERS repeat a header is reset.";
        later ["server push"];
    "C-170" "3.3.2" Client "HEADERS behind DATA may be ignored.";
        held ["http_client response_trailers_are_the_last_frame", "http_server trailers_of_a_request_come_behind_its_data"];
    "C-171" "draft 2" Client "HEADERS of a server behind DATA are ignored.";
        later ["SPDY/2"];
    "C-172" "draft 2" Server "A server advertises SPDY in Alternate-Protocol.";
        later ["SPDY/2"];
    "C-173" "draft 2" Client "A client follows such an advertisement, and remembers where it failed.";
        later ["SPDY/2"];
    "C-174" "draft 2" Server "A TLS server offers every version that it speaks.";
        later ["SPDY/2"; "One version is spoken and offered."; "tls the_listener_offers_what_is_served"];
    "C-175" "6.2" Client "Persisted SETTINGS go when cookies go.";
        later ["SETTINGS persistence"; "Nothing is stored."];
}

//! Who may ask, and what a page may do.
//!
//! A page of another site that a person has open could make their browser ask us, under a name that it
//! points at this machine (DNS rebinding): so only known names are answered. What changes a study needs
//! the token besides, in a header that no other site can set.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;

/// What a browser is told with every answer.
pub(crate) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
             frame-ancestors 'none'; form-action 'none'",
        ))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .add((header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
}

/// Whether a `Host` header names this machine as its own browser does, or a name that was allowed.
pub(crate) fn is_known_host(host: Option<&str>, allowed: &[String]) -> bool {
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    ["127.0.0.1", "localhost", "::1"].into_iter().any(is) || allowed.iter().any(|own| is(own))
}

/// Whether a request has the token.
pub(crate) fn has_token(request: &HttpRequest, token: &str) -> bool {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    // In a time that says nothing about how much of it was right.
    let differs = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    !token.is_empty() && given.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_known() {
        let allowed = ["node7.example.org".to_string()];
        for known in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8080",
            "[::1]",
            "node7.example.org:8080",
        ] {
            assert!(is_known_host(Some(known), &allowed), "{known}");
        }
        for foreign in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "evil.example:127.0.0.1",
            "",
            "[::2]",
            "10.0.0.1",
        ] {
            assert!(!is_known_host(Some(foreign), &allowed), "{foreign}");
        }
        assert!(!is_known_host(None, &allowed));
    }

    #[test]
    fn a_token_is_right_as_a_whole_or_not_at_all() {
        let with = |value: &str| {
            let request = actix_web::test::TestRequest::default();
            has_token(&request.insert_header(("authorization", value)).to_http_request(), "abc123")
        };
        assert!(with("Bearer abc123"));
        for wrong in
            ["Bearer abc12", "Bearer abc1234", "abc123", "Bearer ", "Basic abc123", "Bearer abd123"]
        {
            assert!(!with(wrong), "{wrong}");
        }
        let request = actix_web::test::TestRequest::default();
        assert!(!has_token(
            &request.insert_header(("authorization", "Bearer ")).to_http_request(),
            ""
        ));
    }
}

//! Any method, path and query: reading ends without a panic, and what is read is written alike.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use stoa_provider::gateway::Route;

fuzz_target!(|text: &str| {
    let (method, rest) = text.split_once(' ').unwrap_or(("GET", text));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let Ok(method) = method.parse::<Method>() else { return };
    let Ok(route) = Route::parse(&method, path, query) else { return };
    assert_eq!(route.path(), path);
    assert_eq!(Route::parse(&method, &route.path(), query).ok(), Some(route));
});

//! Which words are names: services, hosts, variables, endpoints, paths.

/// A service's name: `^[a-z]([-a-z0-9]*[a-z0-9])?$`, at most 63 bytes (it becomes a host name).
pub(crate) fn is_service(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-')
}

/// A group's (placement's) name: 1 to 64 bytes, printable, no space at its ends.
pub(crate) fn is_group(name: &str) -> bool {
    is_plain(name, 64)
}

/// A volume's name: as a group's.
pub(crate) fn is_volume(name: &str) -> bool {
    is_plain(name, 64)
}

fn is_plain(name: &str, longest: usize) -> bool {
    !name.is_empty()
        && name.len() <= longest
        && name.trim() == name
        && !name.chars().any(char::is_control)
}

/// An endpoint's name: `^[a-z]+[-_0-9a-z]+$`, at most 63 bytes.
pub(crate) fn is_endpoint(name: &str) -> bool {
    (2..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| is_lower_alphanumeric(b) || matches!(b, b'-' | b'_'))
}

/// A host name by RFC 1123: lower-case labels of 1 to 63 letters, digits and inner hyphens,
/// 253 bytes in all.
pub(crate) fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// A variable's name: letters, digits, `-`, `_`, `.`, not a digit first, no `.` or `..`.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name != "."
        && !name.starts_with("..")
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The name in `NAME=value` or `NAME`.
pub(crate) fn variable_name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// A mount point: absolute, no `..` step, no control character, 1,024 bytes.
pub(crate) fn is_mount(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 1024
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|step| step == "..")
}

/// Text that may go into a process's arguments or environment: no NUL.
pub(crate) fn is_process_text(text: &str) -> bool {
    !text.contains('\0')
}

/// An attribute's key: 1 to 128 printable ASCII bytes without spaces, `*` only as the last.
pub(crate) fn is_attribute_key(key: &str) -> bool {
    is_attribute_text(key) && !key.is_empty() && !key.contains(' ')
}

/// An attribute's value: up to 128 bytes, printable, `*` only as the last.
pub(crate) fn is_attribute_value(value: &str) -> bool {
    is_attribute_text(value)
}

fn is_attribute_text(text: &str) -> bool {
    let inner = text.strip_suffix('*').unwrap_or(text);
    text.len() <= 128 && !inner.contains('*') && !text.chars().any(char::is_control)
}

/// A coin's denomination: a letter, then 2 to 127 letters, digits or `/:._-`.
pub(crate) fn is_denom(denom: &str) -> bool {
    (3..=128).contains(&denom.len())
        && denom.starts_with(|c: char| c.is_ascii_alphabetic())
        && denom.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:._-".contains(&b))
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        for right in ["a", "web", "web-2", "a1"] {
            assert!(is_service(right), "{right}");
        }
        for wrong in ["", "Web", "1web", "web-", "-web", "we_b", "../x", &"a".repeat(64)] {
            assert!(!is_service(wrong), "{wrong}");
        }
    }

    #[test]
    fn hostnames() {
        for right in ["a", "example.com", "1.example-2.com"] {
            assert!(is_hostname(right), "{right}");
        }
        let long = "a.".repeat(127) + "a";
        for wrong in ["", "Example.com", "a..b", "-a", "a-", "a_b", "*.a", "a.com.", long.as_str()]
        {
            assert!(!is_hostname(wrong), "{wrong}");
        }
    }

    #[test]
    fn variables_mounts_and_the_rest() {
        assert!(is_variable("PATH") && is_variable("_a.b-c"));
        assert!(
            !is_variable("") && !is_variable("1A") && !is_variable("A B") && !is_variable("..")
        );
        assert_eq!(variable_name("A=b=c"), "A");
        assert!(is_mount("/data") && is_mount("/"));
        assert!(!is_mount("data") && !is_mount("") && !is_mount("/a/../../etc"));
        assert!(is_endpoint("my-ip_1") && !is_endpoint("a") && !is_endpoint("My"));
        assert!(is_attribute_key("vendor/nvidia/model/*") && !is_attribute_key("a*b"));
        assert!(is_denom("ustoa") && is_denom("ibc/ABC") && !is_denom("1x") && !is_denom("ab"));
    }
}

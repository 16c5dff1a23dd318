//! Secrets that a manifest names and does not hold: `NAME=secret://secret-name`.
//!
//! Only a whole value is such a reference. Its canonical form is what stands in the file, so the
//! values never change the version.

use std::collections::BTreeSet;

use crate::{names, Group, Service};

/// What a value that names a secret begins with.
pub const SECRET_SCHEME: &str = "secret://";
/// Characters of a secret's name.
pub const MAX_SECRET_NAME: usize = 63;

/// Whether it can name a secret: 1 to 63 of a-z, 0-9, `-`, `_` and `.`, with a letter or digit at
/// both ends.
pub fn is_secret_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= MAX_SECRET_NAME
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || "-_.".contains(c))
}

/// The variable and the secret of an entry of `env` that names one.
pub fn secret_of(entry: &str) -> Option<(&str, &str)> {
    let (variable, value) = entry.split_once('=')?;
    let name = value.strip_prefix(SECRET_SCHEME)?;
    is_secret_name(name).then_some((variable, name))
}

/// Whether an entry of `env` means to name a secret and cannot.
pub(crate) fn is_bad_reference(entry: &str) -> bool {
    let value = entry.strip_prefix(names::variable_name(entry)).and_then(|v| v.strip_prefix('='));
    value.is_some_and(|v| v.starts_with(SECRET_SCHEME)) && secret_of(entry).is_none()
}

impl Service {
    /// The variables of `env` whose values are secrets, with the secrets' names.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().flatten().filter_map(|entry| secret_of(entry))
    }
}

impl Group {
    /// The secrets that its services use.
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.services.iter().flat_map(|service| service.secrets().map(|(_, name)| name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_value_with_a_right_name_is_a_secret() {
        assert_eq!(secret_of("PASSWORD=secret://db-password"), Some(("PASSWORD", "db-password")));
        assert_eq!(secret_of("P=secret://a"), Some(("P", "a")));
        for plain in ["P", "P=x", "P=x secret://a", "P= secret://a", "secret://a", "P=SECRET://a"] {
            assert_eq!(secret_of(plain), None, "{plain}");
            assert!(!is_bad_reference(plain), "{plain}");
        }
        let long = format!("P=secret://{}", "a".repeat(64));
        for bad in ["P=secret://", "P=secret://A", "P=secret://-a", "P=secret://a/b", &long] {
            assert_eq!(secret_of(bad), None, "{bad}");
            assert!(is_bad_reference(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_with_secrets_names_them_and_one_with_a_bad_name_is_refused_with_what_is_right() {
        let file = |value: &str| {
            format!(
                "version: \"2.0\"\nservices:\n  web:\n    image: a\n    env: [\"B=1\", \"P={value}\"]\n    \
                 expose: [{{port: 80, to: [{{global: true}}]}}]\nprofiles:\n  compute: {{web: {{resources: \
                 {{cpu: {{units: 1}}, memory: {{size: 1Mi}}, storage: {{size: 1Mi}}}}}}}}\n  placement: \
                 {{p: {{pricing: {{web: {{denom: ustoa, amount: 1}}}}}}}}\ndeployment: {{web: {{p: \
                 {{profile: web, count: 1}}}}}}\n"
            )
        };
        let parsed = crate::parse(&file("secret://db"), &crate::Options::default()).unwrap();
        let group = &parsed.manifest.groups[0];
        assert_eq!(group.secrets().into_iter().collect::<Vec<_>>(), ["db"]);
        let canonical = String::from_utf8(parsed.manifest.canonical_json()).unwrap();
        assert!(canonical.contains(r#""P=secret://db""#), "{canonical}");
        let errors = crate::parse(&file("secret://D B"), &crate::Options::default()).unwrap_err();
        assert!(format!("{errors:?}").contains("secret://db-password"), "{errors:?}");
    }
}

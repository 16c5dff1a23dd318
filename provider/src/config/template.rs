//! The file that `init` writes: every setting with its meaning.

use toml_edit::{DocumentMut, Item, Value};

use super::file::Config;
use super::load::ConfigError;

const TEMPLATE: &str = include_str!("template.toml");

/// `section.key=value` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    path: Vec<String>,
    value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}`: right is such as pricing.cpu=1000000"))?;
        let path: Vec<String> = path.split('.').map(String::from).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("`{text}` names no setting; right is such as pricing.cpu=1000000"));
        }
        Ok(Self { path, value: value.into() })
    }
}

impl Setting {
    pub fn new(path: &str, value: impl Into<String>) -> Self {
        Self { path: path.split('.').map(String::from).collect(), value: value.into() }
    }

    /// An attribute, whose key may hold dots.
    pub fn attribute(key: &str, value: &str) -> Self {
        Self { path: vec!["attributes".into(), key.into()], value: value.into() }
    }

    /// Of the kind that stands there; a new one is a text.
    fn put(&self, document: &mut DocumentMut) -> Result<(), ConfigError> {
        let Some((last, sections)) = self.path.split_last() else { return Ok(()) };
        let mut table: &mut Item = document.as_item_mut();
        for section in sections {
            table = &mut table[section.as_str()];
            if table.is_none() {
                *table = toml_edit::table();
            }
            if !table.is_table_like() {
                return Err(self.wrong("no such section"));
            }
        }
        let place = &mut table[last.as_str()];
        let value = match place.as_value() {
            Some(Value::String(_)) | None => Value::from(self.value.as_str()),
            Some(_) => self.value.parse().map_err(|_| self.wrong("not a TOML value"))?,
        };
        let decor = place.as_value().map(|old| old.decor().clone());
        *place = Item::Value(value);
        if let (Some(decor), Some(value)) = (decor, place.as_value_mut()) {
            *value.decor_mut() = decor;
        }
        Ok(())
    }

    fn wrong(&self, why: &str) -> ConfigError {
        ConfigError::Wrong(format!("{}={}: {why}", self.path.join("."), self.value))
    }
}

/// The template with settings put in, checked.
pub fn render(settings: &[Setting]) -> Result<String, ConfigError> {
    let mut document: DocumentMut = TEMPLATE
        .parse()
        .map_err(|error: toml_edit::TomlError| ConfigError::Wrong(error.to_string()))?;
    for setting in settings {
        setting.put(&mut document)?;
    }
    let text = document.to_string();
    let config: Config = toml::from_str(&text)
        .map_err(|error| ConfigError::Wrong(format!("with these settings: {error}")))?;
    config.validate()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn the_template_is_a_config_and_takes_settings() {
        let text = render(&[
            Setting::new("gateway.listen", "127.0.0.1:9443"),
            Setting::new("chain.rpc", "[\"http://a:1\", \"http://b:2\"]"),
            Setting::new("capacity.cpu", "4"),
            "overcommit.cpu=8".parse().unwrap(),
            Setting::attribute("region", "athens"),
            Setting::new("pricing.storage.beta1", "7"),
        ])
        .unwrap();
        assert!(text.contains("# "), "the comments stay");
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!(config.gateway.listen.port(), 9443);
        assert_eq!(config.chain.rpc.len(), 2);
        assert_eq!(config.capacity.cpu.0, 4000);
        assert_eq!(config.overcommit.cpu, 8.0);
        assert_eq!(config.attributes["region"], "athens");
        assert_eq!(config.pricing.storage["beta1"], "7");
    }

    #[test]
    fn wrong_settings_are_refused() {
        for (setting, word) in [
            ("gateway.host_uri=http://x", "https"),
            ("gateway.lisen=x", "lisen"),
            ("pricing.cpu=cheap", "pricing, cpu"),
            ("chain.min_answers=2", "min_answers"),
            ("bidding.strategy=script", "absolute path"),
            ("metrics.listen=here", "metrics.listen"),
            ("engine.network_pool=10.0.0.0", "network_pool"),
            ("overcommit.cpu=0", "overcommit.cpu"),
        ] {
            let error = render(&[setting.parse().unwrap()]).unwrap_err().to_string();
            assert!(error.contains(word), "{setting}: {error}");
        }
        assert!("nothing".parse::<Setting>().is_err());
    }

    #[test]
    fn flags_go_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("provider.toml");
        std::fs::write(&path, render(&[]).unwrap()).unwrap();
        let overrides = Overrides { chain_id: Some("other-1".into()), ..Overrides::default() };
        assert_eq!(Config::load(&path, &overrides).unwrap().chain.id, "other-1");
        let missing = Config::load(&dir.path().join("no.toml"), &overrides).unwrap_err();
        assert!(missing.to_string().contains("init"));
    }
}

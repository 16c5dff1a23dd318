//! `stoa-provider doctor`: everything that a provider needs, looked at, each
//! with what helps. It changes nothing on chain, and may run beside the
//! daemon.

mod chain;
mod host;
mod machine;
mod names;
mod peering;
mod ports;

use clap::Args;
use comfy_table::Table;
use serde::Serialize;

use super::status::Output;
use super::Globals;
use crate::config::Config;

/// How it answers.
#[derive(Debug, Clone, Args)]
pub struct DoctorArguments {
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub name: String,
    pub verdict: Verdict,
    pub found: String,
    /// What would be better; empty where all is well.
    pub remedy: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Good,
    /// It works, with less.
    Warning,
    /// It does not work.
    Bad,
}

impl Finding {
    fn good(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Good, found, "")
    }

    fn warning(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, found, remedy)
    }

    fn bad(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Verdict::Bad, found, remedy)
    }

    fn new(
        name: &str,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), verdict, found: found.into(), remedy: remedy.into() }
    }
}

/// Looks, and tells. Whether nothing is wrong.
pub(super) async fn run(globals: &Globals, arguments: &DoctorArguments) -> anyhow::Result<bool> {
    let path = globals.config.display().to_string();
    let findings = match globals.load() {
        Ok(config) => {
            let mut findings = vec![Finding::good("settings", path)];
            findings.extend(look(&config).await);
            findings
        }
        Err(error) => vec![Finding::bad(
            "settings",
            error.to_string(),
            "correct the file, or write a new one with `stoa-provider init --overwrite`",
        )],
    };
    match arguments.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
        Output::Table => print(&findings),
    }
    Ok(findings.iter().all(|finding| finding.verdict != Verdict::Bad))
}

async fn look(config: &Config) -> Vec<Finding> {
    let (provider, mut findings) = host::look(config);
    findings.extend(machine::look(config, &provider.clone().unwrap_or_default()).await);
    let features = match &provider {
        Some(provider) => super::features::ask(config, provider).await.ok(),
        None => None,
    };
    findings.extend(chain::look(config, provider.as_deref(), features.as_ref()).await);
    findings.extend(ports::look(config).await);
    findings.extend(names::look(config).await);
    findings.extend(host::data_plane(config).await);
    findings.extend(peering::look(config).await);
    findings
}

fn print(findings: &[Finding]) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["", "what", "found", "remedy"]);
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => "✓",
            Verdict::Warning => "!",
            Verdict::Bad => "✗",
        };
        table.add_row([mark, &finding.name, &finding.found, &finding.remedy]);
    }
    println!("{table}");
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    println!("{} wrong, {} could be better", count(Verdict::Bad), count(Verdict::Warning));
}

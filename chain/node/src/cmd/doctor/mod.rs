//! `stoad doctor`: what an operator should mend, and how.

mod machine;
mod node;
mod state;

#[cfg(test)]
mod tests;

use anyhow::Result;
use serde::Serialize;

use super::{
    args::{DoctorArgs, Output},
    print,
};
use crate::{
    comet::{FileSettings, Rpc},
    config::Config,
    home::Home,
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Grade {
    /// Nothing to do.
    Ok,
    /// It works, and should be looked at.
    Warn,
    /// It must be mended.
    Fail,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    grade: Grade,
    what: String,
    /// What to do; empty where nothing is to be done.
    remedy: String,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, what: what.into(), remedy: String::new() }
    }

    fn warn(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, grade: Grade::Warn, what: what.into(), remedy: remedy.into() }
    }

    fn fail(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, grade: Grade::Fail, what: what.into(), remedy: remedy.into() }
    }
}

/// What the checks look at.
struct Patient<'a> {
    home: &'a Home,
    config: Result<Config>,
    comet: Option<FileSettings>,
    /// CometBFT's word, where it runs.
    running: Option<tendermint_rpc::endpoint::status::Response>,
}

impl<'a> Patient<'a> {
    fn new(home: &'a Home) -> Result<Self> {
        let comet = FileSettings::read(&home.comet_config()).ok();
        let laddr = comet.as_ref().and_then(|comet| comet.rpc_laddr().map(str::to_owned));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let running = laddr.and_then(|laddr| {
            let rpc = Rpc::new(&laddr).ok()?;
            runtime.block_on(rpc.status()).ok()
        });
        // Another node may answer on this port: it is this home's if it has this home's key.
        let id = crate::comet::NodeKey::read(&home.node_key()).ok();
        let is_own = |node: &str| id.as_ref().is_some_and(|id| id.id() == node);
        let running = running.filter(|status| is_own(&status.node_info.id.to_string()));
        Ok(Self { home, config: Config::read(home), comet, running })
    }
}

/// Runs all checks and prints what they found; false where one failed.
pub fn run(home: &Home, args: &DoctorArgs) -> Result<bool> {
    let findings = examine(home, args)?;
    match args.output {
        Output::Json => print(&serde_json::to_string_pretty(&findings)?)?,
        Output::Text => findings.iter().try_for_each(print_finding)?,
    }
    Ok(findings.iter().all(|finding| finding.grade != Grade::Fail))
}

fn print_finding(finding: &Finding) -> Result<()> {
    let grade = match finding.grade {
        Grade::Ok => "OK  ",
        Grade::Warn => "WARN",
        Grade::Fail => "FAIL",
    };
    print(&format!("{grade} {}: {}", finding.check, finding.what))?;
    match finding.remedy.as_str() {
        "" => Ok(()),
        remedy => print(&format!("     -> {remedy}")),
    }
}

fn examine(home: &Home, args: &DoctorArgs) -> Result<Vec<Finding>> {
    let patient = Patient::new(home)?;
    let mut findings = node::check(&patient, args.comet.cometbft.as_deref());
    findings.extend(machine::check(&patient));
    findings.extend(state::check(&patient));
    Ok(findings)
}

//! Deployments, escrows, certificates.

use stoa_client::{query::DeploymentView, tls};
use stoa_proto::{cert::v1::CertificateState, deployment::v1::DeploymentState};

use super::{state, tables, word};
use crate::{context::Context, exit::Failure, json, out, text};

pub async fn one(context: &Context, id: &str) -> Result<(), Failure> {
    let id = context.deployment_id(id)?;
    let view = context.chain().await?.query().deployment(&id).await?;
    if context.is_json() {
        return out::print_json(&json::of(&view)?);
    }
    print(&view);
    Ok(())
}

/// A deployment with its groups, for people.
pub fn print(view: &DeploymentView) {
    let Some(d) = &view.deployment else { return };
    let now = text::now();
    out::print_lines(&format!(
        "deployment  {}\nstate       {}\nversion     {}\ncreated     {} (block {})",
        tables::id_text(d.id.as_ref()),
        tables::deployment_state(d),
        hex::encode(&d.version),
        text::when(d.created_at, now),
        d.created_height
    ));
    if d.closed_at > 0 {
        out::print_lines(&format!("closed      {}", text::when(d.closed_at, now)));
    }
    let mut table = out::table(&["GROUP", "NAME", "STATE", "ORDERS", "RESOURCES"]);
    for group in &view.groups {
        let spec = group.spec.clone().unwrap_or_default();
        table.add_row([
            group.id.as_ref().map_or("-".into(), |id| id.gseq.to_string()),
            spec.name.clone(),
            tables::group_state(group),
            group.orders.to_string(),
            tables::resources(&spec),
        ]);
    }
    out::print_table(&table);
}

pub async fn many(
    context: &Context,
    owner: Option<String>,
    wanted: Option<String>,
) -> Result<(), Failure> {
    let owner = owner.map(|o| context.address_of(Some(&o))).transpose()?.unwrap_or_default();
    let wanted = state(
        wanted,
        "DEPLOYMENT_STATE",
        DeploymentState::from_str_name,
        DeploymentState::Unspecified,
    )?;
    let list = context.chain().await?.query().deployments(&owner, wanted).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let now = text::now();
    let mut table = out::table(&["DEPLOYMENT", "STATE", "GROUPS", "CREATED", "VERSION"]);
    for d in list.iter().filter_map(|v| v.deployment.as_ref()) {
        let version = hex::encode(&d.version);
        table.add_row([
            tables::id_text(d.id.as_ref()),
            tables::deployment_state(d),
            d.groups.to_string(),
            text::when(d.created_at, now),
            version.get(..12).unwrap_or(&version).to_owned(),
        ]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn escrow(context: &Context, id: &str) -> Result<(), Failure> {
    let id = context.deployment_id(id)?;
    let answer = context.chain().await?.query().escrow(&id).await?;
    if context.is_json() {
        return out::print_json(&json::of(&answer)?);
    }
    let account = answer.account.clone().unwrap_or_default();
    let now = text::now();
    let state = word(account.state().as_str_name(), "ACCOUNT_STATE");
    out::print_lines(&format!(
        "escrow      {}\nstate       {state}\nbalance     {} now\nrate        {}\nlasts       {}",
        tables::id_text(account.id.as_ref()),
        text::dec_coin(answer.balance_now.as_ref(), 6),
        text::rate(account.total_rate.as_ref()),
        match account.exhausts_at {
            0 => "-".to_owned(),
            at => format!("{} more", text::seconds(at.saturating_sub(now))),
        }
    ));
    if let Some(words) = tables::used_up(&account, now) {
        out::print_lines(&words);
    }
    let mut table = out::table(&["DEPOSITOR", "LEFT"]);
    for depositor in &account.depositors {
        table.add_row([depositor.address.clone(), text::dec_coin(depositor.balance.as_ref(), 6)]);
    }
    out::print_table(&table);
    Ok(())
}

pub async fn certs(context: &Context, owner: Option<String>) -> Result<(), Failure> {
    let owner = context.address_of(owner.as_deref())?;
    let chain = context.chain().await?;
    let list = chain.query().certificates(&owner, "", CertificateState::Unspecified).await?;
    if context.is_json() {
        return out::print_json(&json::list(&list)?);
    }
    let now = text::now();
    let mut table = out::table(&["SERIAL", "STATE", "ENDS"]);
    for certificate in &list {
        let ends = tls::validity(&certificate.der).map(|v| v.not_after);
        let ends = ends.ok().and_then(|t| u64::try_from(t).ok());
        table.add_row([
            certificate.serial.clone(),
            word(certificate.state().as_str_name(), "CERTIFICATE_STATE"),
            ends.map_or("?".into(), |t| text::when(t, now)),
        ]);
    }
    out::print_table(&table);
    Ok(())
}

//! Queries about auditors' records.

use stoa_proto::audit::v1 as pb;

use super::{keys, Record};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::Address;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.audit.v1.Query/ProviderAttributes", query_records);
}

fn query_records(
    ctx: &Ctx<'_>,
    request: pb::QueryProviderAttributesRequest,
) -> Result<pb::QueryProviderAttributesResponse, Failure> {
    let provider: Address = request.provider.parse()?;
    let prefix = match request.auditor.as_str() {
        "" => keys::records_about(&provider),
        auditor => keys::record(&provider, &auditor.parse()?),
    };
    let (records, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        super::read(key, value).map(Into::into)
    })?;
    Ok(pb::QueryProviderAttributesResponse { records, pagination: Some(pagination) })
}

impl From<Record> for pb::SignedAttributes {
    fn from(record: Record) -> Self {
        Self {
            auditor: record.auditor.to_string(),
            provider: record.provider.to_string(),
            attributes: record.attributes.into_iter().map(Into::into).collect(),
        }
    }
}

//! Stoa's manifest: the Stack Definition Language in, and out of it the canonical manifest that
//! providers run, its version on chain, and the group specs that the market auctions.
//!
//! Pure: text in, values out, no I/O. [`parse`] reads a file; [`Manifest`] has the canonical
//! bytes, the version and the way back from bytes; [`check_against_groups`] holds a manifest
//! against the order on chain.
//!
//! What is ours and not in the public SDL (`market`, `pricing.P.per`, `requirements`, `egress`,
//! `image: ./file`, `data: ./file`) leaves the version of files that do not use it as it is: only
//! `egress: none`, a shipped image and a volume's content show in the canonical form at all.

#![forbid(unsafe_code)]

mod assemble;
mod canonical;
mod check;
mod compute;
mod cross;
mod diagnostics;
mod expose;
mod gpu;
mod groups;
mod image;
mod json;
mod limits;
mod market;
mod model;
mod names;
mod node;
mod options;
mod params;
mod placement;
mod pricing;
mod sdl;
mod secret;
mod services;
mod storage;
mod suggest;
mod summary;
mod units;
mod validate;
mod yaml;

pub use canonical::{CanonicalError, MAX_CANONICAL_BYTES};
pub use check::{check_against_groups, check_group, Mismatch};
pub use diagnostics::{Diagnostic, Severity};
pub use groups::{group_specs_json, GroupSpec, Price, Requirements, ResourceSpec, SignedBy};
pub use image::{is_file as is_image_file, Blob, ImageRef};
pub use market::{Auction, MarketOptions};
pub use model::{
    Attribute, Cpu, Credentials, Egress, Endpoint, EndpointKind, Expose, Gpu, Group, HttpOptions,
    Manifest, Memory, Mount, Params, Permissions, Proto, ResourceUnit, Service, Storage, Tee,
    TeeKind,
};
pub use options::{DenomMapping, Options, SignerMapping};
pub use secret::{is_secret_name, secret_of, MAX_SECRET_NAME, SECRET_SCHEME};
pub use summary::summary;
pub use units::Dec18;
pub use yaml::MAX_TEXT_BYTES;

use diagnostics::{Diags, Pos};
use node::Field;

/// An SDL file that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What providers run.
    pub manifest: Manifest,
    /// What the market auctions; the same placements in the same order.
    pub groups: Vec<GroupSpec>,
    /// How it is auctioned.
    pub market: MarketOptions,
    /// `reclamation.min_window` in seconds; each group has it too.
    pub reclamation: Option<u64>,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads an SDL file.
///
/// # Errors
/// Everything that was found, in the order of the file: at least one error, and the warnings,
/// for a warned-of typing error is often what the error comes from.
pub fn parse(text: &str, options: &Options) -> Result<Parsed, Vec<Diagnostic>> {
    let root = match yaml::read(text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            let empty = Diagnostic::error(START, "", "the file is empty");
            return Err(vec![empty.help("begin it with `version: \"2.1\"`")]);
        }
        Err(refusal) => return Err(vec![refusal]),
    };
    let mut diags = Diags::default();
    let sdl = sdl::read(&Field::root(&root), options, &mut diags);
    if !diags.has_errors() {
        cross::check(&sdl, &mut diags);
    }
    if diags.has_errors() {
        return Err(diags.into_sorted());
    }
    match assemble::assemble(&sdl, &mut diags) {
        Some((manifest, groups)) => Ok(Parsed {
            manifest,
            groups,
            market: sdl.market,
            reclamation: sdl.reclamation,
            warnings: diags.into_sorted(),
        }),
        None => {
            if !diags.has_errors() {
                diags.push(Diagnostic::error(START, "", "the sections do not fit together"));
            }
            Err(diags.into_sorted())
        }
    }
}

const START: Pos = Pos { line: 1, column: 1 };

/// The files that services name as their images (`image: ./web.tar`), as written, each once,
/// with the line and column of its first use. A caller hashes them and gives them to [`parse`]
/// in [`Options::blobs`]. Empty where the text is not YAML, which [`parse`] then reports.
pub fn image_paths(text: &str) -> Vec<(String, u32, u32)> {
    files_of(text, services::image_files)
}

/// The archives and folders that volumes name as their content (`data: ./site.tar`), in the same
/// way, for [`Options::bundles`].
pub fn data_paths(text: &str) -> Vec<(String, u32, u32)> {
    files_of(text, services::data_files)
}

type Files = Vec<(String, u32, u32)>;

fn files_of(text: &str, of_services: impl Fn(&Field<'_>) -> Files) -> Files {
    let Ok(Some(root)) = yaml::read(text) else { return Vec::new() };
    let services = sdl::services_of(&Field::root(&root));
    services.map(|services| of_services(&services)).unwrap_or_default()
}

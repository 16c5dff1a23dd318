//! docker-archive: `manifest.json` lists images, each with the path of its
//! configuration and of its layers. The tags in it are not even read.

use std::fs::File;

use serde::Deserialize;

use super::index::TarIndex;
use super::{bad, parse, FoundImage, ImageLimits};
use crate::runtime::RuntimeError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    layers: Vec<String>,
}

pub(super) fn find_image(
    file: &File,
    index: &TarIndex,
    limits: &ImageLimits,
) -> Result<FoundImage, RuntimeError> {
    let items: Vec<Item> = parse("manifest.json", &index.document(file, "manifest.json", limits)?)?;
    let [item] = items.as_slice() else {
        return Err(bad(format!("it holds {} images; exactly one is taken", items.len())));
    };
    if item.layers.len() > limits.layers {
        return Err(bad(format!("it has more than {} layers", limits.layers)));
    }
    let layers = item.layers.iter().map(|name| index.find(name)).collect::<Result<_, _>>()?;
    Ok(FoundImage { config: index.document(file, &item.config, limits)?, layers })
}

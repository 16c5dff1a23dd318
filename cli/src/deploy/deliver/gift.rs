//! Sending images to one provider, where it is its turn.

use std::{collections::BTreeMap, path::PathBuf};

use stoa_client::Error;
use stoa_proto::types::v1::DeploymentId;

use super::{
    super::{progress::Board, upload},
    giving::{Giving, Turn},
};
use crate::gateway::Gateway;

/// What is sent, and to whom.
pub(super) struct Gift<'a> {
    pub id: &'a DeploymentId,
    /// Files to be shipped, by BLAKE3 root.
    pub files: &'a BTreeMap<String, PathBuf>,
    pub giving: &'a Giving,
    pub board: &'a Board,
    pub group: &'a str,
    pub provider: &'a str,
}

/// An image that a provider lacks, by its BLAKE3 root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    pub image: String,
    /// Bytes.
    pub size: u64,
    /// Its group uses it; others are to be passed on.
    pub own: bool,
}

impl Gift<'_> {
    /// Sends all that is lacking, in its turn. Whether the provider has
    /// everything then: one without room for what it would pass on has what
    /// its own group uses alone.
    pub async fn send(
        &self,
        _turn: &Turn<'_>,
        gateway: &Gateway,
        lacking: &[Lacking],
    ) -> Result<bool, Error> {
        for image in lacking {
            let out = |bytes| self.giving.is_out(&image.image, bytes);
            match self.upload(gateway, image, out).await {
                Ok(()) => {}
                Err(Error::Refused(refusal)) if !image.own => {
                    crate::out::note(&format!(
                        "note: provider {} passes nothing on: {}",
                        self.provider, refusal.message
                    ));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends what its own group uses, whoever's turn it is.
    pub async fn send_own(&self, gateway: &Gateway, lacking: &[Lacking]) -> Result<(), Error> {
        for image in lacking.iter().filter(|image| image.own) {
            self.upload(gateway, image, |_| {}).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        gateway: &Gateway,
        image: &Lacking,
        out: impl Fn(u64),
    ) -> Result<(), Error> {
        let path = self.files.get(&image.image).ok_or_else(|| {
            Error::Invalid(format!(
                "the provider asks for image {}, which is not in the file",
                image.image
            ))
        })?;
        let told = |progress: upload::Progress| {
            out(progress.there);
            self.board.upload(self.group, &image.image, progress.sent, image.size);
        };
        upload::blob(gateway, self.id, &image.image, image.size, path, told).await
    }
}

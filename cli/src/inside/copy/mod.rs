//! `stoa cp`: files into and out of an instance.

mod channel;
mod pack;
mod unpack;

use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;
use serde_json::json;
use stoa_proto::gateway::v1::{copy_in_request::Input, CopyInRequest, CopyInStart, CopyOutRequest};
use tokio_stream::wrappers::ReceiverStream;

use super::{broken, find};
use crate::{context::Context, exit::Failure, out};

/// Arguments of `stoa cp`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
One of the two is in an instance: SERVICE:/PATH or SERVICE/INDEX:/PATH. Into an instance,
a path that ends with / is a directory that is there; else its last part is the new name.")]
pub struct CopyArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// What is copied: a file or a directory
    pub source: String,
    /// Where to
    pub target: String,
}

/// A path on one of the two sides.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    Here(PathBuf),
    There { service: String, path: String },
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, directories and links.
    pub entries: u64,
    /// Of files.
    pub bytes: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

fn side(text: &str) -> Result<Side, Failure> {
    match text.split_once(":/") {
        // ./a:/b is a file's name.
        Some((service, path)) if !service.starts_with(['.', '/']) => {
            Ok(Side::There { service: service.to_owned(), path: format!("/{path}") })
        }
        _ if text == "-" => Err(Failure::usage(
            "`-` is no file; to see one: stoa exec DEPLOYMENT SERVICE -- cat /PATH",
        )),
        _ if text.is_empty() => Err(Failure::usage("an empty path")),
        _ => Ok(Side::Here(PathBuf::from(text))),
    }
}

/// Runs it.
pub async fn run(context: &Context, args: CopyArgs) -> Result<(), Failure> {
    let copied = match (side(&args.source)?, side(&args.target)?) {
        (Side::Here(from), Side::There { service, path }) => {
            send(context, &args.id, from, &service, &path).await?
        }
        (Side::There { service, path }, Side::Here(to)) => {
            fetch(context, &args.id, &service, &path, to).await?
        }
        _ => {
            return Err(Failure::usage(
                "one side is here and the other in an instance, such as: \
                 stoa cp 7 ./page.html web:/www/",
            ))
        }
    };
    for what in &copied.left_out {
        out::note(&format!("left out: {what}"));
    }
    match context.is_json() {
        true => out::print_json(&json!({
            "entries": copied.entries,
            "bytes": copied.bytes.to_string(),
            "left_out": copied.left_out,
        })),
        false => {
            out::step(&format!("{} entries, {} bytes", copied.entries, copied.bytes));
            Ok(())
        }
    }
}

/// The directory that a path is in, and the name in it; none: the source's.
fn split(path: &str) -> (String, Option<String>) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = if dir.is_empty() { "/".to_owned() } else { dir.to_owned() };
    (dir, (!name.is_empty()).then(|| name.to_owned()))
}

async fn send(
    context: &Context,
    id: &str,
    from: PathBuf,
    service: &str,
    path: &str,
) -> Result<Copied, Failure> {
    let (dir, name) = split(path);
    let name = match name {
        Some(name) => name,
        None => pack::own_name(&from)?,
    };
    // Before anybody is asked.
    std::fs::symlink_metadata(&from)
        .map_err(|e| Failure::new(format!("{}: {e}", from.display())))?;
    let mut target = find(context, id, service).await?;
    let start = CopyInStart { instance: Some(target.id()), path: dir };
    let (writer, pieces) = channel::writer();
    let packing = tokio::task::spawn_blocking(move || pack::pack(&from, &name, writer));
    let first = CopyInRequest { input: Some(Input::Start(start)) };
    let rest =
        ReceiverStream::new(pieces).map(|data| CopyInRequest { input: Some(Input::Data(data)) });
    let messages = futures::stream::once(async { first }).chain(rest);
    let sent = target.client.copy_in(messages).await;
    let packed = packing.await.map_err(|e| Failure::new(e.to_string()))?;
    match (sent, packed) {
        (Ok(_), Ok(copied)) => Ok(copied),
        // A file that could not be read ends the stream too early.
        (_, Err(failure)) if !failure.is_gone => Err(failure.failure),
        (Err(status), _) => Err(broken(&status)),
        (Ok(_), Err(failure)) => Err(failure.failure),
    }
}

async fn fetch(
    context: &Context,
    id: &str,
    service: &str,
    path: &str,
    to: PathBuf,
) -> Result<Copied, Failure> {
    let mut target = find(context, id, service).await?;
    let request = CopyOutRequest { instance: Some(target.id()), path: path.to_owned() };
    let answer = target.client.copy_out(request).await.map_err(|s| broken(&s))?;
    let mut chunks = answer.into_inner();
    let (pieces, reader) = channel::reader();
    let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(reader, &to));
    let mut end = Ok(());
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                // Unpacking has failed; it says why.
                if pieces.send(chunk.data).await.is_err() {
                    break;
                }
            }
            Err(status) => {
                end = Err(broken(&status));
                break;
            }
        }
    }
    drop(pieces);
    let unpacked = unpacking.await.map_err(|e| Failure::new(e.to_string()))?;
    end.and(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_here_unless_a_service_stands_before_it() {
        let there =
            |service: &str, path: &str| Side::There { service: service.into(), path: path.into() };
        assert_eq!(side("web:/etc/x").unwrap(), there("web", "/etc/x"));
        assert_eq!(side("web/1:/").unwrap(), there("web/1", "/"));
        assert_eq!(side(":/etc").unwrap(), there("", "/etc"));
        for here in ["./a:/b", "/a:/b", "a", "a:b"] {
            assert_eq!(side(here).unwrap(), Side::Here(here.into()));
        }
        assert!(side("").is_err() && side("-").is_err());
    }

    #[test]
    fn the_last_part_of_a_path_is_the_new_name() {
        assert_eq!(split("/www/"), ("/www".into(), None));
        assert_eq!(split("/www/a"), ("/www".into(), Some("a".into())));
        assert_eq!(split("/a"), ("/".into(), Some("a".into())));
        assert_eq!(split("/"), ("/".into(), None));
    }
}

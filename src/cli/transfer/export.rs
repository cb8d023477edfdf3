//! `bursar transfer export`: the files of the service before this one, for each transfer that a filter finds:
//! `md5(key).json` with its numbers and `md5(key).txt` with the vendor's words.
//!
//! **Owns** the files, which nobody else may read; each appears whole or not at all, the JSON last, so that one that was cut off is
//! written again. **Fails** as the calls do; what was written stays, and the same command goes on from there.
//! **Limits**: files that are there are left alone without `--force`; keys of several feeds would share names, so that one feed is
//! exported at a time. Each reading is kept for the audit.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use md5::{Digest as _, Md5};
use serde_json::json;
use tonic::Code;

use super::filter::FilterArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column};
use crate::proto::transfer::v1::get_analysis_request::Form;
use crate::proto::transfer::v1::{GetAnalysisRequest, ListFeedsRequest, ListTransfersRequest, Transfer};

const COUNTED: [Column; 3] = [
    Column::plain("written", "/written"),
    Column::plain("left, there already", "/left"),
    Column::plain("without a run", "/without_run"),
];

#[derive(Args)]
pub(in crate::cli) struct ExportArgs {
    /// The folder; made where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Why; kept for the audit
    #[arg(long, default_value = "exported", hide_default_value = true)]
    reason: String,
}

/// What an export has come to.
#[derive(Default)]
struct Counts {
    written: u64,
    left: u64,
    without_run: u64,
}

impl Counts {
    fn all(&self) -> u64 {
        self.written + self.left + self.without_run
    }
}

pub(super) async fn run(
    args: ExportArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut filter = args.filter.filter();
    if filter.feed.is_empty() {
        filter.feed = only_feed(connection).await?;
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&args.out);
    made.map_err(|error| unwritten(&args.out, &error))?;
    let mut counts = Counts::default();
    let mut progress = Progress::begin("exporting");
    let mut page_token = String::new();
    loop {
        let request = ListTransfersRequest { filter: Some(filter.clone()), page_size: 0, page_token };
        let page = connection.call(connection.transfers().list_transfers(request)).await?;
        for transfer in &page.transfers {
            let result = export(&args, transfer, connection, &mut counts).await;
            if result.is_err() {
                progress.end(screen);
                screen.remark(&format!("written before this: {}", counts.written));
                return result;
            }
            progress.step(counts.all(), None, screen);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    progress.end(screen);
    let document =
        json!({ "written": counts.written, "left": counts.left, "without_run": counts.without_run });
    screen.show(&document, |document| table::detail(&COUNTED, document))
}

/// The feed that is meant where none is named.
async fn only_feed(connection: &Connection) -> Result<String, Failure> {
    let answer = connection.call(connection.transfers().list_feeds(ListFeedsRequest {})).await?;
    match <[_; 1]>::try_from(answer.feeds) {
        Ok([feed]) => Ok(feed.name),
        Err(feeds) if feeds.is_empty() => Err(Failure::found(Code::NotFound, "no feed is configured")),
        Err(_) => Err(Failure::found(Code::InvalidArgument, "there are several feeds; name one by --feed")),
    }
}

async fn export(
    args: &ExportArgs,
    transfer: &Transfer,
    connection: &Connection,
    counts: &mut Counts,
) -> Result<(), Failure> {
    if transfer.run.is_none() {
        counts.without_run += 1;
        return Ok(());
    }
    let stem = args.out.join(name_of(&transfer.key));
    let (document, text) = (stem.with_extension("json"), stem.with_extension("txt"));
    // The JSON is written last: where it is, both are.
    if !args.force && document.exists() {
        counts.left += 1;
        return Ok(());
    }
    let request = GetAnalysisRequest {
        id: transfer.id.clone(),
        form: Form::Legacy.into(),
        reason: args.reason.clone(),
        ..GetAnalysisRequest::default()
    };
    let answer = connection.call(connection.transfers().get_analysis(request)).await?;
    write(&text, &answer.text)?;
    write(&document, &answer.document)?;
    counts.written += 1;
    Ok(())
}

/// The hexadecimal MD5 of a key, by which the service before this one named its files.
fn name_of(key: &str) -> String {
    Md5::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file beside its place and moves it there.
fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let beside = path.with_extension("part");
    let written = private(&beside).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    written.map_err(|error| unwritten(path, &error))
}

/// A new file that its owner alone may read.
fn private(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written: {}", path.display(), error.kind());
    Failure::found(Code::Unknown, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_named_after_its_key() {
        // RFC 1321, A.5.
        assert_eq!(name_of("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn a_file_is_whole_and_nobody_else_s_to_read() {
        let folder = std::env::temp_dir().join(format!("bursar-export-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("a.json");
        // What an earlier try left, as anybody's.
        std::fs::write(folder.join("a.part"), "half").unwrap();
        write(&path, "first").unwrap();
        write(&path, "second").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode), ("second", 0o600));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

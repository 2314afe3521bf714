//! Where an export goes: a file, a folder of files by day, or stdout.

use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use anyhow::Context as _;
use jiff::civil::Date;

use crate::cli::ExportArgs;
use crate::cli::ExportForm;
use crate::commands::Context;
use crate::commands::Usage;
use crate::commands::export::Writing;
use crate::commands::report::not_written;
use crate::config;
use crate::disk::new_file::Existing;
use crate::disk::new_file::NewFile;
use crate::export::Export;
use crate::export::Row;
use crate::printable::Printable;
use crate::printable::printable_lines;

/// Bytes that are kept before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// Where rows go.
pub(super) struct Destination<'a> {
    place: Place,
    existing: Existing,
    writing: Option<&'a Writing<'a>>,
    open: Option<Open>,
}

enum Place {
    /// One file.
    File(PathBuf),
    /// A folder, with a file for each day.
    Folder {
        path: PathBuf,
        part: String,
    },
    Stdout,
    /// A terminal, which would obey what stands in foreign text.
    Terminal(Shared),
}

/// A file, or a stream, that is being written.
struct Open {
    export: Box<dyn Export>,
    file: Option<NewFile>,
    day: Option<Date>,
}

/// Bytes that two owners see: the one that writes them, and the one that shows them in the end.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().map_err(|_| io::Error::other("a writer panicked"))?;
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Destination<'a> {
    /// Returns the destination that the arguments name.
    pub(super) fn of(args: &ExportArgs, context: &Context<'_>) -> anyhow::Result<Self> {
        let is_stdout = args.file == Path::new("-");
        let path = context.config.cwd.join(&args.file);
        let place = match (args.partition, is_stdout) {
            (true, true) => return Err(Usage("`--partition` needs a folder".to_owned()).into()),
            (true, false) => {
                let part = format!("part-{}.parquet", config::machine_name());
                Place::Folder { path, part }
            }
            (false, false) => Place::File(path),
            (false, true) if !config::stdout_is_terminal() => Place::Stdout,
            (false, true) if args.form == ExportForm::Parquet => {
                return Err(Usage("a terminal shows no Parquet: name a file".to_owned()).into());
            }
            (false, true) => Place::Terminal(Shared::default()),
        };
        let existing = if args.force { Existing::Replaced } else { Existing::Kept };
        Ok(Self { place, existing, writing: None, open: None })
    }

    /// Begins to write, so that what stands in the way is told before the work.
    pub(super) fn begin(&mut self, writing: &'a Writing<'a>) -> anyhow::Result<()> {
        self.writing = Some(writing);
        self.open = match &self.place {
            Place::Folder { .. } => None,
            Place::File(path) => Some(open(writing, path, self.existing, None)?),
            Place::Stdout => {
                let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
                Some(Open { export: writing.export(out)?, file: None, day: None })
            }
            Place::Terminal(shown) => {
                Some(Open { export: writing.export(shown.clone())?, file: None, day: None })
            }
        };
        Ok(())
    }

    /// Writes a row; rows come in an order of time.
    pub(super) fn row(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        if let (Place::Folder { path, part }, Some(writing)) = (&self.place, self.writing)
            && self.open.as_ref().is_none_or(|open| open.day != Some(row.day))
        {
            let folder = path.join(format!("date={}", row.day));
            close(self.open.take())?;
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
            self.open = Some(open(writing, &folder.join(part), self.existing, Some(row.day))?);
        }
        if let Some(open) = &mut self.open {
            open.export.row(row).context("the export could not be written")?;
        }
        Ok(())
    }

    /// Ends what was begun and returns how the destination is called.
    pub(super) fn end(mut self) -> anyhow::Result<String> {
        close(self.open.take())?;
        Ok(match self.place {
            Place::File(path) => {
                Printable(&path.file_name().unwrap_or_default().to_string_lossy()).to_string()
            }
            Place::Folder { path, part } => {
                Printable(&format!("{}/date=*/{part}", path.display())).to_string()
            }
            Place::Stdout => "stdout".to_owned(),
            Place::Terminal(Shared(bytes)) => {
                let bytes = bytes.lock().map(|bytes| bytes.clone()).unwrap_or_default();
                let text = printable_lines(&String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
                io::stdout().write_all(text.as_bytes())?;
                "stdout".to_owned()
            }
        })
    }
}

fn open(writing: &Writing<'_>, path: &Path, existing: Existing, day: Option<Date>) -> anyhow::Result<Open> {
    let file = NewFile::begin(path, existing).map_err(not_written)?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, file.file()?);
    Ok(Open { export: writing.export(out)?, file: Some(file), day })
}

fn close(open: Option<Open>) -> anyhow::Result<()> {
    if let Some(Open { export, file, .. }) = open {
        export.finish().context("the export could not be written")?;
        if let Some(file) = file {
            file.put()?;
        }
    }
    Ok(())
}

//! `report DIR`: one page of what benchmarks have written into a directory with `--json`.
//!
//! `cargo run --release -p millstream-bench -- report figures`: see `docs/benchmarks/report.md`.

mod bars;
mod foreign;
mod html;
mod latencies;
mod memory;
pub mod model;
pub mod output;
pub mod page;
mod plot;
mod rates;
pub mod read;
pub mod shards;

use std::error::Error;
use std::path::PathBuf;

use output::Output;

/// What is read, and where the page goes.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// The directory with the benchmarks' .json files.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The page [default: report.html in DIR].
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Makes the page.
///
/// # Errors
/// A file cannot be read, makes no sense, or the page cannot be written; there is a line for each bad file, and no page.
pub fn run(args: &ReportArgs) -> Result<(), Box<dyn Error>> {
    let sources = read::read_all(&args.dir).map_err(|wrong| wrong.join("\n"))?;
    let path = args.html.clone().unwrap_or_else(|| args.dir.join("report.html"));
    let output = Output::open("--html", Some(&path))?.ok_or("there is no page to be written")?;
    output.write(&page::page("Millstream: benchmarks", &sources))?;
    for source in &sources {
        println!("{}: {}", source.file, page::summary(&source.run));
    }
    println!("written to {}", output.path().display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_made_only_of_a_directory_without_bad_files() {
        let dir = tempfile::tempdir().unwrap();
        let args = ReportArgs { dir: dir.path().to_owned(), html: None };
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let rows = json!({ "rows": [{ "work": "q1", "system": "millstream", "shards": 1, "state": "ok", "events_per_second": 1.0 }] });
        write("good.json", &read::tests::run("nexmark", rows).to_string());
        run(&args).unwrap();
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(page.contains("q1") && page.contains("good.json"));
        write("bad.json", "{");
        assert!(run(&args).unwrap_err().to_string().contains("bad.json: is no JSON"));
        let unwritable = ReportArgs { html: Some(PathBuf::from("/no/such/directory/page.html")), ..args };
        std::fs::remove_file(dir.path().join("bad.json")).unwrap();
        assert!(run(&unwritable).unwrap_err().to_string().contains("--html /no/such/directory/page.html"));
    }
}

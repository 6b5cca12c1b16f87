//! What every page of a benchmark has: its head, its colours by day and by night, and words that may stand in it.

use super::model::Machine;

/// How many there are.
pub const COLORS: usize = 8;

/// Told apart by most people who do not see all colours (Okabe and Ito's), on white.
const BY_DAY: [&str; COLORS] =
    ["#0072b2", "#d55e00", "#007a5a", "#b0558a", "#b87800", "#2f8fc4", "#333333", "#7a7a1c"];
/// The same on black.
const BY_NIGHT: [&str; COLORS] =
    ["#56b4e9", "#ff8a3d", "#2fc79a", "#e6a3c8", "#f0b93a", "#9cd0f2", "#dddddd", "#c8c860"];

const STYLE: &str = "html{background:var(--back);color:var(--text);color-scheme:light dark}\
body{font-family:sans-serif;max-width:80em;margin:2em auto;padding:0 1em;line-height:1.4}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;margin:1em 0}\
td,th{padding:2px 10px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}\
td.words{white-space:normal;min-width:11em}td.words:last-child{min-width:26em}\
td:first-child,th:first-child,.words{text-align:left}\
.missed,.disturbed{color:var(--bad)}.note{color:var(--faint);font-size:14px}code{font-size:13px;overflow-wrap:anywhere}\
svg{display:block;margin:1em 0;max-width:100%;height:auto;font-family:sans-serif;font-size:12px}\
svg text{fill:var(--text)}svg .title{font-size:14px}svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--faint);fill:none}\
svg .line{fill:none;stroke-width:1.6}svg .dashed{stroke-dasharray:6 4}svg .whisker{stroke:var(--text)}";

/// The colour of a series, as the page's style has it.
pub fn color(number: usize) -> String {
    format!("var(--c{})", number % COLORS)
}

fn palette(back: &str, text: &str, faint: &str, grid: &str, bad: &str, colors: &[&str]) -> String {
    let named: String =
        colors.iter().enumerate().map(|(number, color)| format!("--c{number}:{color};")).collect();
    format!(":root{{--back:{back};--text:{text};--faint:{faint};--grid:{grid};--bad:{bad};{named}}}")
}

/// The beginning of a page, up to its heading. Nothing is fetched from elsewhere.
pub fn head(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>{}@media (prefers-color-scheme: dark){{{}}}{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        palette("#ffffff", "#1b1b1b", "#555555", "#dddddd", "#b00020", &BY_DAY),
        palette("#14171a", "#e8e8e8", "#a5a5a5", "#3a3f44", "#ff7b7b", &BY_NIGHT),
        title = escaped(title)
    )
}

/// The end of a page.
pub const FOOT: &str = "</body>\n</html>\n";

/// A machine in a sentence.
pub fn machine(machine: &Machine) -> String {
    let cores: Vec<String> = machine.cores.iter().map(usize::to_string).collect();
    let memory = machine
        .memory_bytes
        .map_or(String::new(), |bytes| format!(", {:.1} GiB", bytes as f64 / f64::from(1 << 30)));
    let more: String = machine
        .more
        .iter()
        .map(|(key, value)| format!(", {} {}", key.replace('_', " "), plain(value)))
        .collect();
    format!(
        "{}; cores {}{memory}; kernel {}{more}; commit {}",
        machine.cpu,
        cores.join(", "),
        machine.kernel,
        machine.commit.as_deref().unwrap_or("not known")
    )
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Text that may stand in a page or a plot.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::plot::tests::assert_well_formed;
    use super::*;

    #[test]
    fn a_page_of_nothing_is_well_formed_and_fetches_nothing() {
        let page = head("a <b> & c") + FOOT;
        assert_well_formed(&page);
        assert!(!page.contains("http") && !page.contains("url("), "{page}");
    }

    #[test]
    fn a_machine_says_all_that_is_known_of_it() {
        let known = Machine {
            cpu: "a processor".to_owned(),
            cores: vec![0, 1],
            kernel: "6.1".to_owned(),
            memory_bytes: Some(3 << 30),
            commit: None,
            more: [("transparent_huge_pages".to_owned(), "madvise".into())].into_iter().collect(),
        };
        assert_eq!(
            machine(&known),
            "a processor; cores 0, 1, 3.0 GiB; kernel 6.1, transparent huge pages madvise; commit not known"
        );
    }
}

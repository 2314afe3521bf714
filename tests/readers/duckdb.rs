//! DuckDB reads Parquet, whole and by days, and CSV: the same sums, and the types that amounts and days have.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::install;
use crate::stage::Stage;

pub(crate) fn install() -> Result<PathBuf, String> {
    install::python("duckdb", &["duckdb==1.5.6"], |_| Ok(()))
}

/// Prints a line for each query: its cells with blanks between them.
const ASK: &str = "
import sys, duckdb
for query in sys.argv[1:]:
    print(*duckdb.sql(query).fetchall()[0])
";

pub(crate) fn sums_agree(python: PathBuf, stage: Stage) {
    let whole = stage.export("parquet", "costs.parquet", &[]);
    let lake = stage.export("parquet", "lake", &["--partition"]);
    let csv = stage.export("csv", "costs.csv", &["--columns", "all"]);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (whole, csv) = (format!("'{}'", path(&whole)), format!("read_csv('{}')", path(&csv)));
    let lake = format!("read_parquet('{}/*/*.parquet', hive_partitioning = true)", path(&lake));
    let sums = |source: &str| {
        format!(
            "SELECT sum(CAST(cost_usd AS DECIMAL(18, 12))), count(*), sum(requests), sum(input_tokens),
                    count(DISTINCT enhancement), min(date), max(date) FROM {source}"
        )
    };
    let kinds = format!("SELECT typeof(cost_usd), typeof(date), typeof(timestamp) FROM {whole} LIMIT 1");
    let days = format!("SELECT count(*) = 0 FROM {lake} WHERE date <> CAST(timestamp AS DATE)");
    let queries = [sums(&whole), sums(&lake), sums(&csv), kinds, days];
    let answer = install::run(Command::new(python).args(["-c", ASK]).args(queries)).unwrap();
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines[0], lines[1], "whole and by days");
    assert_eq!(lines[0], lines[2], "Parquet and CSV");
    assert_eq!(lines[3], "DECIMAL(18,12) DATE TIMESTAMP WITH TIME ZONE");
    assert_eq!(lines[4], "True", "each row is in the folder of its day");
    let sum = lines[0].split(' ').next().unwrap();
    assert_eq!(sum.trim_end_matches('0'), stage.total(), "DuckDB's sum and cmat's");
}

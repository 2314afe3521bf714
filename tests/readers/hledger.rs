//! hledger finds the accounting strictly right, and its balance is what cmat says.

use std::path::PathBuf;
use std::process::Command;

use crate::install;
use crate::stage::Stage;

pub(crate) fn find() -> Result<PathBuf, String> {
    install::run(Command::new("hledger").arg("--version")).map(|_| PathBuf::from("hledger"))
}

pub(crate) fn balances(hledger: PathBuf, stage: Stage) {
    let journal = stage.export("ledger", "costs.journal", &[]);
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&hledger);
        install::run(command.arg("-f").arg(&journal).args(arguments).env("LC_ALL", "C.UTF-8")).unwrap()
    };
    ask(&["check", "--strict"]);
    let exact = ["-c", "$1.000000000000", "-O", "csv"];
    let balance = ask(&[&["balance", "expenses", "--depth", "1", "--no-total"], exact.as_slice()].concat());
    let spent = balance.lines().last().unwrap().split('$').nth(1).unwrap();
    assert_eq!(spent.trim_matches(['"', '0']), stage.total().trim_matches('0'), "{balance}");
}

//! Runs the demo on a directory and prints its report.

use mainspring_shop::demo::{Options, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let data = std::env::args_os().nth(1).unwrap_or_else(|| "shop-data".into()).into();
    let report = run(&Options { data, orders: None, input: None }, &()).await?;
    print!("{report}");
    anyhow::ensure!(report.reconciled, "the figures differ");
    Ok(())
}

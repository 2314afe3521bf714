//! `cmat models …`

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;
use clap::ValueHint;

use crate::cli::number::whole;

/// `cmat models …`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models of the project's models.json, or the built-in ones.
    #[command(before_help = "Example:  cmat models list --prices")]
    List {
        /// All five prices of each.
        #[arg(long)]
        prices: bool,
        /// Every row in force, also where the project has a models.json.
        #[arg(long)]
        all: bool,
    },
    /// Show one model and its prices.
    #[command(before_help = "Example:  cmat models show claude-opus-5-5 --history")]
    Show {
        /// Id of the row.
        id: String,
        /// Prices of other days too.
        #[arg(long)]
        history: bool,
    },
    /// Make a model the default, whose price unknown Claude models take.
    #[command(before_help = "Example:  cmat models set-default claude-opus-5-5")]
    SetDefault {
        /// Id of the row.
        id: String,
    },
    /// Tell which row prices a model id, and why.
    #[command(before_help = "Example:  cmat models which us.anthropic.claude-opus-4-5-20251101-v1:0")]
    Which {
        /// Model id as a transcript names it.
        model: String,
    },
    /// Check the price tables: patterns, shadowed rows, prices far from the list price.
    #[command(before_help = "Example:  cmat models check")]
    Check,
    /// Add a row to the project's models.json.
    #[command(
        before_help = "Example:  cmat models add claude-new-6 --input 5 --output 25 --cache-write 6.25 --cache-read 0.50"
    )]
    Add(Box<ModelsAddArgs>),
    /// Remove a row from the project's models.json.
    #[command(before_help = "Example:  cmat models remove claude-new-6")]
    Remove {
        /// Id of the row.
        id: String,
    },
    /// Bring prices of the project's models.json to the built-in list prices.
    #[command(before_help = "Example:  cmat models update --dry-run")]
    Update {
        /// Show the difference and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take Claude prices over from a LiteLLM or genai-prices file.
    #[command(before_help = "Example:  cmat models import model_prices_and_context_window.json --dry-run")]
    Import {
        /// `model_prices_and_context_window.json` or `data.json`.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Show the difference and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `cmat models add`
#[derive(Debug, Args)]
pub struct ModelsAddArgs {
    /// Id of the new row.
    pub id: String,
    /// Name for people; the id if absent.
    #[arg(long)]
    pub name: Option<String>,
    /// What the model is for.
    #[arg(long)]
    pub description: Option<String>,
    /// Regex or glob that model ids of transcripts match; the id itself if absent.
    #[arg(long)]
    pub pattern: Option<String>,
    /// Most output tokens of an answer.
    #[arg(long, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "64000"))]
    pub max_tokens: Option<u64>,
    /// USD per million input tokens.
    #[arg(long, value_name = "USD")]
    pub input: String,
    /// USD per million output tokens.
    #[arg(long, value_name = "USD")]
    pub output: String,
    /// USD per million tokens written to the cache for five minutes; 1.25 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_write: Option<String>,
    /// USD per million tokens written to the cache for one hour; 2 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_write_1h: Option<String>,
    /// USD per million tokens read from the cache; 0.1 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_read: Option<String>,
    /// Make it the default.
    #[arg(long)]
    pub default: bool,
}

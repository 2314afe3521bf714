//! `cmat calc`: what tokens cost, with the arithmetic shown.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::json;

use crate::cli::CalcArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::complain;
use crate::commands::models;
use crate::money::Usd;
use crate::money::grouped;
use crate::pricing::CostByKind;
use crate::pricing::Fit;
use crate::pricing::Price;
use crate::pricing::PriceSource;
use crate::pricing::Terms;
use crate::pricing::TokenKind;
use crate::pricing::UnknownModel;
use crate::printable::Printable;
use crate::usage::TokenUsage;

pub(super) fn run(args: &CalcArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let table = models::table(context)?;
    let at = match args.at {
        Some(day) => day.to_zoned(TimeZone::UTC)?.timestamp(),
        None => context.config.now(),
    };
    let found = match context.config.unknown_model {
        UnknownModel::Default => table.find_or_default(&args.model),
        UnknownModel::Unpriced => table.get_by_pattern(&args.model),
    };
    let newest_of_family = || table.get_by_pattern(table.newest_of(&args.model)?.id.as_str());
    let Some(found) = found.or_else(newest_of_family) else {
        let model = Printable(&args.model);
        return Err(NotFound(format!("Model not found: {model} (`cmat models list` lists them)")).into());
    };
    let tokens = TokenUsage {
        input: args.tokens.input,
        output: args.tokens.output,
        cache_write_5m: args.tokens.cache_write,
        cache_write_1h: args.tokens.cache_write_1h,
        cache_read: args.tokens.cache_read,
    };
    let terms = Terms { fast: args.fast, batch: args.batch, ..Terms::standard(at) };
    let (price, fit) = table.price(&found, &terms, tokens.prompt());
    let cost = price.cost(&tokens, 0)?;
    if args.fast && !price.fast {
        complain(&format!("{} has no fast mode on that day: the standard price is used", price.model));
    }
    if fit == Fit::Estimated {
        complain(&format!("estimated: no price of `{}` is known for that day", Printable(&args.model)));
    }
    let calculation = Calculation { tokens, price, cost, fit };
    if context.global.json {
        context.print_json(&calculation.json(&args.model))?;
    } else {
        let day = at.to_zoned(TimeZone::UTC).date();
        writeln!(context.out, "{} at the {} prices of {day}", calculation.price.model, calculation.source())?;
        write!(context.out, "\n{}", calculation.lines())?;
    }
    context.remark_billing();
    Ok(if fit == Fit::Estimated && context.global.strict { Exit::Uncertain } else { Exit::Done })
}

struct Calculation {
    tokens: TokenUsage,
    price: Price,
    cost: CostByKind,
    fit: Fit,
}

impl Calculation {
    fn parts(&self) -> Vec<(TokenKind, u64, Usd)> {
        let (tokens, cost) = (&self.tokens, &self.cost);
        let parts = [
            (TokenKind::Input, tokens.input, cost.input),
            (TokenKind::Output, tokens.output, cost.output),
            (TokenKind::CacheWrite5m, tokens.cache_write_5m, cost.cache_write_5m),
            (TokenKind::CacheWrite1h, tokens.cache_write_1h, cost.cache_write_1h),
            (TokenKind::CacheRead, tokens.cache_read, cost.cache_read),
        ];
        parts.into_iter().filter(|(_, tokens, _)| *tokens > 0).collect()
    }

    fn source(&self) -> &'static str {
        match self.price.source {
            PriceSource::Project => "project's",
            PriceSource::User => "user's",
            PriceSource::BuiltIn => "list",
        }
    }

    /// Returns one line for each kind of token, and the total.
    fn lines(&self) -> String {
        let factor = if self.price.factor == Decimal::ONE {
            String::new()
        } else {
            format!(" × {}", self.price.factor)
        };
        let parts = self.parts();
        let counts = parts.iter().map(|(_, tokens, _)| grouped(*tokens).len()).max().unwrap_or_default();
        let rate = |kind| format!("${}", self.price.rates.of(kind).displayed());
        let rates = parts.iter().map(|(kind, ..)| rate(*kind).len()).max().unwrap_or_default();
        let mut lines = String::new();
        for (kind, tokens, cost) in &parts {
            let (label, tokens, rate) = (kind.label(), grouped(*tokens), rate(*kind));
            let derived = if self.price.derived.contains(kind) { "  (rate derived)" } else { "" };
            lines.push_str(&format!(
                "  {label:14}  {tokens:>counts$} × {rate:>rates$} / 1M{factor} = ${cost}{derived}\n"
            ));
        }
        let tilde = if self.fit == Fit::Estimated { "~" } else { "" };
        let total = self.cost.total();
        let width = counts + rates + format!(" ×  / 1M{factor}").chars().count();
        lines.push_str(&format!(
            "  {:14}  {:width$} = {tilde}${total}  ({tilde}${})\n",
            "total",
            "",
            total.rounded(4)
        ));
        for remark in self.remarks() {
            lines.push_str(&format!("  {remark}\n"));
        }
        lines
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(above) = self.price.tier_above {
            remarks.push(format!("long prompt: above {} tokens every token pays more", grouped(above)));
        }
        if self.price.fast {
            remarks.push("fast mode".to_owned());
        }
        if self.price.batch {
            remarks.push("batch".to_owned());
        }
        remarks
    }

    fn json(&self, model_id: &str) -> serde_json::Value {
        json!({
            "schema": "cmat.calc/1",
            "model": model_id,
            "input_tokens": self.tokens.input,
            "output_tokens": self.tokens.output,
            "cache_write_5m_tokens": self.tokens.cache_write_5m,
            "cache_write_1h_tokens": self.tokens.cache_write_1h,
            "cache_read_tokens": self.tokens.cache_read,
            "cost_usd": self.cost.total(),
            "cost_input_usd": self.cost.input,
            "cost_output_usd": self.cost.output,
            "cost_cache_write_5m_usd": self.cost.cache_write_5m,
            "cost_cache_write_1h_usd": self.cost.cache_write_1h,
            "cost_cache_read_usd": self.cost.cache_read,
            "estimated": self.fit == Fit::Estimated,
            "price": self.price,
        })
    }
}

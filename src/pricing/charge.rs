//! Usage to charges: which parts of a request are billed, each at its own model's price.

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Serialize;

use crate::id::ModelId;
use crate::money::Usd;
use crate::pricing::price::CostByKind;
use crate::pricing::price::Price;
use crate::pricing::price::Terms;
use crate::pricing::row::Fit;
use crate::pricing::table::PriceTable;
use crate::usage::Iteration;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;
use crate::usage::TokenUsage;

/// What happens with the usage of a model that no row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownModel {
    /// A Claude model takes the default model's price and is marked as estimated; any other is unpriced.
    #[default]
    Default,
    /// It is unpriced.
    Unpriced,
}

/// Which part of a request a charge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    /// The request itself, or one of its steps.
    Message,
    /// An attempt by another model after a refusal.
    FallbackMessage,
    /// A compaction that the server did on the way.
    Compaction,
    /// An answer of the advisor model.
    AdvisorMessage,
    /// What the client counted beyond the requests of its transcript.
    NotItemised,
}

impl ChargeKind {
    /// Returns the name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::FallbackMessage => "fallback_message",
            Self::Compaction => "compaction",
            Self::AdvisorMessage => "advisor_message",
            Self::NotItemised => "not_itemised",
        }
    }
}

/// Why a charge has no cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// No row is for the model.
    UnknownModel,
    /// The cost is too large to record (above 9.2 million USD): no honest usage.
    TooLarge,
}

impl Unpriced {
    /// Returns the name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownModel => "unknown_model",
            Self::TooLarge => "too_large",
        }
    }
}

/// What one part of a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Which part.
    pub kind: ChargeKind,
    /// The model, as the request names it.
    pub model: ModelId,
    /// The part's tokens.
    pub tokens: TokenUsage,
    /// Web searches; the first charge of a request carries them.
    pub web_search_requests: u64,
    /// What it costs; `None` if it is unpriced.
    pub cost: Option<CostByKind>,
    /// What it would cost by the user's own prices, where those are not the project's and this is dearer; a budget
    /// counts it then.
    pub dearer: Option<Usd>,
    /// Why it is unpriced.
    pub unpriced: Option<Unpriced>,
    /// The price it was made with; `None` if the model is unknown, or if nothing is billed (a refusal without an
    /// answer: the price reference, rule 10).
    pub price: Option<Price>,
    /// The price is not certain: the default model's, or of another day.
    pub estimated: bool,
}

/// Returns the charges of a request: what is billed, part by part, each part at its own model's price.
///
/// If the iterations of type `message` and `fallback_message` sum to the request's own counts, each of them is a
/// charge; else the request as a whole is one. Compactions and advisor answers are charges beside it, because the
/// request's counts do not hold them. A refusal without an answer costs nothing. What the client counted beyond its
/// requests is one charge, never at a long prompt's price.
pub fn charges(request: &RequestFacts, table: &PriceTable, unknown: UnknownModel) -> Vec<Charge> {
    let terms = Terms::of(request);
    let mut charges = Vec::with_capacity(1);
    for (n, part) in parts(request).into_iter().enumerate() {
        let searches = if n == 0 { request.flags.web_search_requests } else { 0 };
        charges.push(part.charge(searches, &terms, table, unknown));
    }
    charges
}

/// Notes on `charges` what the same request costs by the user's own prices, where that is dearer.
pub fn note_dearer(charges: &mut [Charge], by_user: &[Charge]) {
    let total = |charge: &Charge| charge.cost.map(|cost| cost.total());
    for (charge, by_user) in charges.iter_mut().zip(by_user) {
        charge.dearer = total(by_user).filter(|dearer| total(charge).is_none_or(|cost| *dearer > cost));
    }
}

/// Returns whether two copies of a request are billed alike: the same parts, on the same terms, on the same UTC day.
pub fn is_billed_alike(a: &RequestFacts, b: &RequestFacts) -> bool {
    let terms = |request| {
        let Terms { at, fast, batch, us_inference } = Terms::of(request);
        (at.to_zoned(TimeZone::UTC).date(), fast, batch, us_inference)
    };
    a.flags.web_search_requests == b.flags.web_search_requests && terms(a) == terms(b) && parts(a) == parts(b)
}

/// What is billed at one price.
#[derive(PartialEq, Eq)]
struct Part {
    kind: ChargeKind,
    model: ModelId,
    tokens: TokenUsage,
    refused: bool,
}

fn parts(request: &RequestFacts) -> Vec<Part> {
    let part = |kind, iteration: &Iteration| Part {
        kind,
        model: iteration.model.clone().unwrap_or_else(|| request.flags.model.clone()),
        tokens: iteration.tokens.billed(),
        refused: false,
    };
    let of_kind = |iteration: &Iteration| charge_kind(&iteration.kind).map(|kind| part(kind, iteration));
    let (steps, beside): (Vec<Part>, Vec<Part>) = (request.flags.iterations.iter().filter_map(of_kind))
        .partition(|part| matches!(part.kind, ChargeKind::Message | ChargeKind::FallbackMessage));
    let whole = request.tokens.billed();
    let refused = request.flags.stop_reason.as_deref() == Some("refusal") && request.flags.empty_content;
    if let RequestKey::Remainder(_) = request.key {
        let model = request.flags.model.clone();
        return vec![Part { kind: ChargeKind::NotItemised, model, tokens: whole, refused: false }];
    }
    let mut parts = match sum(&steps) {
        Some(stated) if stated == whole && !steps.is_empty() && !refused => steps,
        _ => {
            let model = request.flags.model.clone();
            vec![Part { kind: ChargeKind::Message, model, tokens: whole, refused }]
        }
    };
    parts.extend(beside);
    parts
}

fn charge_kind(kind: &str) -> Option<ChargeKind> {
    match kind {
        "message" => Some(ChargeKind::Message),
        "fallback_message" => Some(ChargeKind::FallbackMessage),
        "compaction" => Some(ChargeKind::Compaction),
        "advisor_message" => Some(ChargeKind::AdvisorMessage),
        _ => None,
    }
}

fn sum(parts: &[Part]) -> Option<TokenUsage> {
    parts.iter().try_fold(TokenUsage::default(), |sum, part| sum.checked_add(&part.tokens))
}

impl Part {
    fn charge(
        self,
        web_search_requests: u64,
        terms: &Terms,
        table: &PriceTable,
        unknown: UnknownModel,
    ) -> Charge {
        let mut charge = Charge {
            kind: self.kind,
            model: self.model,
            tokens: self.tokens,
            web_search_requests,
            cost: None,
            dearer: None,
            unpriced: None,
            price: None,
            estimated: false,
        };
        if self.refused {
            charge.cost = Some(CostByKind::default());
            return charge;
        }
        let found = match unknown {
            UnknownModel::Default => table.find_or_default(charge.model.as_str()),
            UnknownModel::Unpriced => table.get_by_pattern(charge.model.as_str()),
        };
        let Some(found) = found else {
            charge.unpriced = Some(Unpriced::UnknownModel);
            return charge;
        };
        // Nobody knows how long the prompts were that make up a remainder: the ordinary price is the lower one.
        let prompt = if charge.kind == ChargeKind::NotItemised { 0 } else { charge.tokens.prompt() };
        let (price, fit) = table.price(&found, terms, prompt);
        charge.cost = price.cost(&charge.tokens, web_search_requests).ok();
        charge.unpriced = charge.cost.is_none().then_some(Unpriced::TooLarge);
        charge.estimated = fit == Fit::Estimated;
        charge.price = Some(price);
        charge
    }
}

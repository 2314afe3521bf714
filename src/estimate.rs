//! What work is likely to cost, by what such work cost before: exact percentiles of the owner's own past, no model.

use crate::money::Usd;

/// With fewer runs than this, nine of ten is the dearest of them.
pub const ENOUGH: usize = 10;

/// What something cost before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The agent that it was assigned to.
    pub agent: Option<String>,
    /// What kind of work it was.
    pub operation: Option<String>,
    /// Its exact cost, as far as it is priced.
    pub cost: Usd,
    /// A price was guessed.
    pub estimated: bool,
    /// The true cost may be higher.
    pub lower_bound: bool,
}

/// What past runs are taken for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// Those of the same agent and operation.
    AgentAndOperation,
    /// Those of the same agent.
    Agent,
    /// Those of the same operation.
    Operation,
    /// All of them.
    Any,
}

impl Likeness {
    /// From the most to the least alike.
    const ALL: [Self; 4] = [Self::AgentAndOperation, Self::Agent, Self::Operation, Self::Any];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentAndOperation => "agent and operation",
            Self::Agent => "agent",
            Self::Operation => "operation",
            Self::Any => "any",
        }
    }

    fn holds(self, agent: Option<&str>, operation: Option<&str>, run: &Run) -> bool {
        let same_agent = agent.is_some() && agent == run.agent.as_deref();
        let same_operation = operation.is_some() && operation == run.operation.as_deref();
        match self {
            Self::AgentAndOperation => same_agent && same_operation,
            Self::Agent => same_agent,
            Self::Operation => same_operation,
            Self::Any => true,
        }
    }
}

/// Percentiles of past costs, each of them a cost that occurred (nearest rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// How many costs there are.
    pub n_runs: usize,
    /// Half of them are no higher.
    pub p50: Usd,
    /// Nine of ten are no higher.
    pub p90: Usd,
    /// A price in them was guessed.
    pub estimated: bool,
    /// One of them may be higher in truth.
    pub lower_bound: bool,
}

impl Percentiles {
    /// Returns the percentiles of what `runs` cost; `None` if there are none.
    pub fn of<'run>(runs: impl IntoIterator<Item = &'run Run>) -> Option<Self> {
        let runs: Vec<&Run> = runs.into_iter().collect();
        let mut costs: Vec<Usd> = runs.iter().map(|run| run.cost).collect();
        costs.sort();
        Some(Self {
            n_runs: costs.len(),
            p50: nearest_rank(&costs, 50)?,
            p90: nearest_rank(&costs, 90)?,
            estimated: runs.iter().any(|run| run.estimated),
            lower_bound: runs.iter().any(|run| run.lower_bound),
        })
    }

    /// Returns the percentiles added `n` times.
    pub fn times(self, n: u32) -> Self {
        let times = |amount: Usd| Usd::from_pico(amount.pico().saturating_mul(n.into()));
        Self { p50: times(self.p50), p90: times(self.p90), ..self }
    }
}

/// Returns the smallest of the sorted `costs` that at least `percent` percent of them do not exceed.
fn nearest_rank(costs: &[Usd], percent: usize) -> Option<Usd> {
    costs.get((costs.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

/// Something that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The agent that is to do it.
    pub agent: Option<String>,
    /// What kind of work it is.
    pub operation: Option<String>,
}

/// A step and what such steps cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEstimate {
    /// The step.
    pub step: Step,
    /// How alike the runs are that were taken.
    pub likeness: Likeness,
    /// What they cost.
    pub past: Percentiles,
}

/// Returns what each step is likely to cost, by the runs that are most alike; nothing if there are no runs.
pub fn steps(steps: Vec<Step>, runs: &[Run]) -> Vec<StepEstimate> {
    let estimate = |step: Step| {
        Likeness::ALL.into_iter().find_map(|likeness| {
            let alike = |run: &&Run| likeness.holds(step.agent.as_deref(), step.operation.as_deref(), run);
            let past = Percentiles::of(runs.iter().filter(alike))?;
            Some(StepEstimate { step: step.clone(), likeness, past })
        })
    };
    steps.into_iter().filter_map(estimate).collect()
}

/// Returns what the steps come to if each of them costs its percentile; that is a cautious P90, since not all are dear at once. `n_runs` is the smallest; `None` without steps.
pub fn whole(steps: &[StepEstimate]) -> Option<Percentiles> {
    let all = steps.iter().map(|step| step.past);
    all.reduce(|a, b| Percentiles {
        n_runs: a.n_runs.min(b.n_runs),
        p50: a.p50 + b.p50,
        p90: a.p90 + b.p90,
        estimated: a.estimated || b.estimated,
        lower_bound: a.lower_bound || b.lower_bound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(agent: &str, operation: &str, pico: i128) -> Run {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let cost = Usd::from_pico(pico);
        Run { agent: text(agent), operation: text(operation), cost, estimated: false, lower_bound: false }
    }

    #[test]
    fn percentiles_are_costs_that_occurred() {
        let check = |n: i128, p50: i128, p90: i128| {
            let runs: Vec<Run> = (1..=n).rev().map(|pico| run("", "", pico)).collect();
            let past = Percentiles::of(&runs).unwrap();
            assert_eq!((past.p50.pico(), past.p90.pico()), (p50, p90), "of 1..={n}");
        };
        check(1, 1, 1);
        check(2, 1, 2);
        check(9, 5, 9);
        check(10, 5, 9);
        check(11, 6, 10);
        check(100, 50, 90);
        assert_eq!(Percentiles::of(&[]), None);
    }

    #[test]
    fn the_most_alike_are_taken() {
        let runs = [run("a", "x", 1), run("a", "y", 2), run("b", "x", 4), run("", "", 8)];
        let check = |agent: &str, operation: &str, likeness: Likeness, n_runs: usize| {
            let Run { agent, operation, .. } = run(agent, operation, 0);
            let found = steps(vec![Step { name: "s".to_owned(), agent, operation }], &runs);
            assert_eq!((found[0].likeness, found[0].past.n_runs), (likeness, n_runs));
        };
        check("a", "x", Likeness::AgentAndOperation, 1);
        check("a", "z", Likeness::Agent, 2);
        check("c", "x", Likeness::Operation, 2);
        check("", "", Likeness::Any, 4);
        check("c", "z", Likeness::Any, 4);
    }
}

//! Work on all cores whose results are taken in the order of the jobs: whoever takes them sees what one core alone
//! would have shown.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;

/// How many jobs are begun or done before their turn, at most.
const MAX_JOBS_AHEAD: usize = 128;

/// A job on its way, and where its result is awaited.
type Order<Job, Done> = (Job, Sender<(Job, Done)>);

/// Does `work` for each of `jobs` on `n_threads` threads and hands the results to `each`, in order, on this one.
///
/// No more is begun than weighs `max_ahead` together, or one job if it weighs more: that bounds the memory. If `each`
/// breaks, what was begun is thrown away.
pub(super) fn in_order<Job: Send, Done: Send>(
    n_threads: usize,
    max_ahead: u64,
    mut jobs: impl Iterator<Item = Job>,
    weight: impl Fn(&Job) -> u64,
    work: impl Fn(&Job) -> Done + Sync,
    mut each: impl FnMut(Job, Done) -> ControlFlow<()>,
) {
    if n_threads < 2 {
        for job in jobs {
            let done = work(&job);
            if each(job, done).is_break() {
                return;
            }
        }
        return;
    }
    let (orders, taken) = mpsc::channel();
    let taken = Mutex::new(taken);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| do_orders(&taken, &work));
        }
        // Dropped at the end, which sends the threads home.
        let orders = orders;
        let mut ahead = 0;
        let mut awaited: VecDeque<(u64, Receiver<(Job, Done)>)> = VecDeque::new();
        let mut next = jobs.next();
        loop {
            while let Some(job) = next.take() {
                let job_weight = weight(&job);
                let is_full = ahead + job_weight > max_ahead || awaited.len() == MAX_JOBS_AHEAD;
                if is_full && !awaited.is_empty() {
                    next = Some(job);
                    break;
                }
                let (sender, receiver) = mpsc::channel();
                // The threads are there as long as this side is.
                let _always_taken = orders.send((job, sender));
                ahead += job_weight;
                awaited.push_back((job_weight, receiver));
                next = jobs.next();
            }
            let Some((job_weight, first)) = awaited.pop_front() else { break };
            // A thread that panicked sends nothing; the scope passes its panic on.
            let Ok((job, done)) = first.recv() else { break };
            ahead -= job_weight;
            if each(job, done).is_break() {
                break;
            }
        }
    });
}

fn do_orders<Job, Done>(orders: &Mutex<Receiver<Order<Job, Done>>>, work: impl Fn(&Job) -> Done) {
    loop {
        let order = orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, reply)) = order else { return };
        let done = work(&job);
        // Nobody waits for it any more after a break.
        let _unwanted = reply.send((job, done));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_takes_longer() {
        for n_threads in [1, 2, 5] {
            for max_ahead in [0, 3, 1000] {
                let mut results = Vec::new();
                let work = |job: &u64| (0..(job * 7919 % 13) * 1000).fold(*job, |a, b| a ^ b);
                in_order(
                    n_threads,
                    max_ahead,
                    0..500_u64,
                    |job| job % 3,
                    work,
                    |job, done| {
                        results.push((job, done));
                        ControlFlow::Continue(())
                    },
                );
                let expected: Vec<_> = (0..500).map(|job| (job, work(&job))).collect();
                assert_eq!(results, expected, "{n_threads} threads, {max_ahead} ahead");
            }
        }
    }

    #[test]
    fn a_break_ends_it() {
        for n_threads in [1, 4] {
            let mut n_taken = 0;
            in_order(
                n_threads,
                10,
                0..,
                |_| 1,
                |job: &i32| *job,
                |job, _| {
                    n_taken += 1;
                    if job == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert_eq!(n_taken, 8);
        }
    }
}

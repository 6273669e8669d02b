//! A simulation of workers that share a demand: who carries it, and what it costs.

use super::*;

/// What a transaction costs on several threads, beside what it costs on one (measured; see benches).
const SPREAD: f64 = 1.3;

/// Workers, their clients, and what all clients together ask for, in workers' full time.
struct Site {
    roster: Roster,
    clients: Vec<usize>,
}

impl Site {
    fn new(workers: usize, clients: usize) -> Self {
        let mut all = vec![0; workers];
        all[0] = clients;
        Site { roster: Roster::new(0.7), clients: all }
    }

    fn loads(&self, demand: f64) -> Vec<Load> {
        let all: usize = self.clients.iter().sum();
        let busy = |clients: usize| demand * self.cost() * clients as f64 / all as f64;
        let load = |&clients: &usize| Load { busy: busy(clients).min(1.0), clients };
        self.clients.iter().map(load).collect()
    }

    fn cost(&self) -> f64 {
        let spread = self.clients.iter().filter(|clients| **clients > 0).count() > 1;
        if spread { SPREAD } else { 1.0 }
    }

    fn served(&self, demand: f64) -> f64 {
        self.loads(demand).iter().map(|load| load.busy).sum::<f64>() / self.cost()
    }

    /// Periods with this demand; returns how many steps were taken.
    fn run(&mut self, demand: f64, periods: usize) -> usize {
        let mut steps = 0;
        for _ in 0..periods {
            let Some(step) = self.roster.judge(&self.loads(demand)) else { continue };
            steps += 1;
            match step {
                Step::Share { from, to, clients } => {
                    self.clients[from] -= clients;
                    self.clients[to] += clients;
                }
                Step::Retire(worker) => {
                    let leaving = std::mem::take(&mut self.clients[worker]);
                    let active = self.roster.active();
                    (0..leaving).for_each(|number| self.clients[number % active] += 1);
                }
            }
        }
        steps
    }
}

/// What workers that are all in service from the start can do.
fn fixed(workers: usize, demand: f64) -> f64 {
    let cost = if workers > 1 { SPREAD } else { 1.0 };
    demand.min(workers as f64 / cost)
}

#[test]
fn one_worker_that_carries_all_stays_alone() {
    for demand in [0.0, 0.3, 0.69] {
        let mut site = Site::new(4, 100);
        assert_eq!(site.run(demand, 100), 0, "demand {demand}");
    }
}

#[test]
fn whatever_is_asked_for_is_served_as_if_all_were_in_service() {
    for workers in [2, 4, 8, 16] {
        for tenths in 1..30 {
            let demand = f64::from(tenths) / 10.0;
            let mut site = Site::new(workers, 400);
            site.run(demand, 100);
            let (served, full) = (site.served(demand), fixed(workers, demand));
            assert!(served >= 0.95 * full, "{workers} workers: {served} of {full} for {demand}");
            assert_eq!(site.run(demand, 100), 0, "it settles, with {demand} on {workers}");
        }
    }
}

#[test]
fn no_more_are_in_service_than_needed() {
    let mut site = Site::new(8, 400);
    site.run(1.0, 100);
    assert_eq!(site.roster.active(), 2);
    site.run(2.0, 100);
    // Each has 0.65 to do.
    assert!((3..=4).contains(&site.roster.active()), "{}", site.roster.active());
}

#[test]
fn they_gather_when_little_is_asked_for_and_not_for_a_short_rest() {
    let mut site = Site::new(4, 100);
    site.run(2.5, 100);
    assert_eq!(site.roster.active(), 4);
    assert_eq!(site.run(0.1, 4), 0);
    assert_eq!(site.run(2.5, 10), 0);
    site.run(0.1, 100);
    assert_eq!((site.roster.active(), site.clients[0]), (1, 100));
}

#[test]
fn demand_just_around_the_threshold_does_not_make_them_come_and_go() {
    let mut site = Site::new(2, 100);
    let steps: usize =
        (0..200).map(|round| site.run(if round % 2 == 0 { 0.65 } else { 0.75 }, 3)).sum();
    assert_eq!(steps, 1);
}

#[test]
fn a_single_client_is_not_moved_about() {
    let mut site = Site::new(4, 1);
    assert_eq!(site.run(1.0, 100), 0);
}

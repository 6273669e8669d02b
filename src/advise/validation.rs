//! The model against what is known for certain: Erlang's formulas, and servers of which the law is known.

use fastrand::Rng;

use super::exposure::Exposure;
use super::forecast::Forecast;
use super::generator::{Load, Scene, exponential};
use super::law::{Fit, Law};
use super::replay::Change;
use super::script::{Arrivals, Script};
use super::window::Window;
use crate::stats::{Recording, Request};

/// Erlang's C: the share of requests that wait, and the mean wait of all, for offered work of so many servers.
fn erlang_c(servers: usize, offered: f64, service: f64) -> (f64, f64) {
    let mut blocked = 1.0;
    for n in 1..=servers {
        blocked = offered * blocked / (n as f64 + offered * blocked);
    }
    let free = 1.0 - offered / servers as f64;
    let waits = blocked / (free + (1.0 - free) * blocked);
    (waits, waits * service / (servers as f64 - offered))
}

/// Requests that come at random and last at random.
fn poisson(count: u32, gap: f64, service: f64, seed: u64) -> Window {
    let mut rng = Rng::with_seed(seed);
    let mut at = 0.0;
    let requests = (0..count).map(|client| {
        at += exponential(&mut rng, gap);
        let hold = exponential(&mut rng, service).round() as u32;
        Request { ended: at.round() as u32 + hold, hold, client, ..Request::default() }
    });
    let recording = Recording { requests: requests.collect(), full_at: None };
    Window::new(1, at as u32, recording, &[])
}

fn is_near(value: f64, truth: f64, share: f64) -> bool {
    (value - truth).abs() <= share * truth
}

fn forecast(window: &Window, law: Law, size: usize, arrivals: Arrivals) -> Forecast {
    Forecast::new(size, vec![Script::new(window, law, arrivals).replay(size, Change::default())])
}

#[test]
fn waits_are_those_of_erlang_c() {
    let service = 1_000.0;
    for (servers, use_of_each, seed) in
        [(1, 0.6, 2), (2, 0.7, 3), (4, 0.5, 4), (4, 0.8, 5), (20, 0.85, 7)]
    {
        let offered = servers as f64 * use_of_each;
        let window = poisson(400_000, service / offered, service, seed);
        assert_eq!(Arrivals::of(&window), Arrivals::AsRecorded);
        let found = forecast(&window, Law::flat(service), servers, Arrivals::AsRecorded);
        let (waits, mean) = erlang_c(servers, offered, service);
        let words = format!("{servers} servers at {use_of_each}: {found:?} for {waits}, {mean}");
        assert!(is_near(found.waits.share, waits, 0.03), "{words}");
        assert!(is_near(found.waits.mean, mean, 0.03), "{words}");
        // The wait of those who wait is exponential.
        let p99 = mean / waits * (waits / 0.01).ln();
        assert!(is_near(found.waits.p99, p99, 0.05), "{words}, p99 {p99}");
    }
}

/// Throughput of `clients` that think for so long, in the mean, and share `servers`, with everything exponential.
fn finite_source(servers: usize, clients: usize, think: f64, law: Law) -> f64 {
    let mut chances = vec![1.0];
    for n in 1..=clients {
        let at_work = n.min(servers) as f64;
        let service = law.demand * law.slowdown(at_work) / at_work;
        chances.push(chances[n - 1] * (clients - n + 1) as f64 * service / think);
    }
    let all: f64 = chances.iter().sum();
    let done = chances.iter().enumerate().skip(1);
    done.map(|(n, chance)| chance / all * law.throughput(n.min(servers) as f64)).sum()
}

#[test]
fn clients_that_wait_for_answers_ask_as_often_as_they_would() {
    let law = Law { demand: 1_000.0, sigma: 0.05, kappa: 0.002 };
    let load = Load::Closed(30, 4_000.0);
    let scene = Scene { size: 6, law, load, silence: 0.0, length: 30e6, seed: 11 };
    let window = scene.window();
    assert_eq!(Arrivals::of(&window), Arrivals::AfterReplies);
    for size in [3, 4, 6, 9, 12, 24] {
        let found = forecast(&window, law, size, Arrivals::AfterReplies).throughput;
        let truth = finite_source(size, 30, 4_000.0, law);
        assert!(is_near(found, truth, 0.03), "{size} servers: {found} for {truth}");
    }
}

#[test]
fn todays_size_gives_todays_waits() {
    let law = Law { demand: 2_000.0, sigma: 0.1, kappa: 0.004 };
    let load = Load::Closed(12, 6_000.0);
    let scene = Scene { size: 5, law, load, silence: 0.4, length: 10e6, seed: 12 };
    let window = scene.window();
    let waits = window.ended().map(|request| f64::from(request.wait)).collect();
    let (measured, found) =
        (super::Waits::new(waits), forecast(&window, law, 5, Arrivals::AfterReplies));
    let words = format!("{found:?} for {measured:?}");
    assert!(is_near(found.waits.mean, measured.mean, 0.03), "{words}");
    assert!(is_near(found.waits.p95, measured.p95, 0.03), "{words}");
    assert!(is_near(found.throughput, window.ended().count() as f64 / 10.0, 0.01), "{words}");
}

#[test]
fn a_law_is_found_in_what_its_servers_did() {
    let laws = [(0.0, 0.0), (0.05, 0.0), (0.02, 0.004), (0.0, 0.02)];
    for (at, (sigma, kappa)) in laws.into_iter().enumerate() {
        let law = Law { demand: 3_000.0, sigma, kappa };
        let mut exposure = Exposure::default();
        for part in 0..4 {
            // More clients at some times than at others, as it is in life.
            let load = Load::Closed(4 + 12 * part, 15_000.0);
            let seed = 100 * at as u64 + part as u64;
            let scene = Scene { size: 16, law, load, silence: 0.0, length: 20e6, seed };
            exposure.absorb(&scene.window());
        }
        let fit = Fit::new(&exposure, 16).expect("levels enough");
        for working in [1.0, 4.0, 8.0, 12.0] {
            let (found, truth) = (fit.law.throughput(working), law.throughput(working));
            assert!(
                is_near(found, truth, 0.05),
                "{law:?} at {working}: {found} for {truth}, {fit:?}"
            );
        }
        match law.peak() {
            Some(peak) => {
                let found = fit.peak_in_sight().unwrap_or_default();
                assert!(is_near(found, peak, 0.15), "{law:?}: {found} for {peak}, {fit:?}");
            }
            None => assert_eq!(fit.peak_in_sight(), None, "{law:?}: {fit:?}"),
        }
    }
}

#[test]
fn other_sizes_are_foretold_from_what_was_learnt() {
    let law = Law { demand: 3_000.0, sigma: 0.03, kappa: 0.006 };
    let scene = |size, seed| Scene {
        size,
        law,
        load: Load::Closed(24, 40_000.0),
        silence: 0.0,
        length: 20e6,
        seed,
    };
    let window = scene(6, 21).window();
    let mut exposure = Exposure::default();
    exposure.absorb(&window);
    let fit = Fit::new(&exposure, 16).expect("levels enough");
    for size in [4, 9, 12] {
        let found = forecast(&window, fit.law, size, Arrivals::AfterReplies);
        let truth = scene(size, 99).window();
        let waits = super::Waits::new(truth.ended().map(|one| f64::from(one.wait)).collect());
        let words = format!("{size} servers: {found:?} for {waits:?}");
        assert!(is_near(found.throughput, truth.ended().count() as f64 / 20.0, 0.03), "{words}");
        if waits.p99 >= 1_000.0 {
            assert!(
                found.waits.p99 / waits.p99 < 1.5 && waits.p99 / found.waits.p99 < 1.5,
                "{words}"
            );
        }
    }
}

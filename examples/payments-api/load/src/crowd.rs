//! Many users at the same time: they come over a while, ask and think, and leave when the time is up.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time;

use crate::journal::Journal;
use crate::people::{self, Person};
use crate::tally::Tally;

/// How long those who have asked may wait for their answer when the time is up.
const LAST_ANSWERS: Duration = Duration::from_secs(90);

/// How many users, and how they behave.
#[derive(Args)]
pub struct Options {
    /// Users at the same time.
    #[arg(long, default_value_t = 5000)]
    users: usize,
    /// How long they ask.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Over how long they come.
    #[arg(long, default_value_t = 5.0)]
    ramp: f64,
    /// How long they think between two requests, on average.
    #[arg(long, default_value_t = 20.0)]
    think: f64,
    /// Who they are: lines of `token;account;name;user`.
    #[arg(long)]
    people: PathBuf,
    /// Where promised transfers are written.
    #[arg(long)]
    journal: PathBuf,
    /// Where the counts are written, as JSON.
    #[arg(long)]
    out: PathBuf,
}

/// What all users share.
pub struct World {
    /// Everybody.
    pub people: Vec<Person>,
    /// What became of their requests.
    pub tally: Tally,
    /// What they were promised.
    pub journal: Journal,
    end: Instant,
    think: f64,
}

/// One user's place in the world.
pub struct Seat {
    /// What all share.
    pub world: Arc<World>,
    number: usize,
}

impl Seat {
    /// Who sits here.
    pub fn person(&self) -> &Person {
        &self.world.people[self.number % self.world.people.len()]
    }

    /// Thinks; gives whether there is time for another request. Pauses are spread as those of independent people.
    pub async fn think(&self) -> bool {
        let pause = -self.world.think * (1.0 - fastrand::f64()).ln();
        let next = Instant::now() + Duration::from_secs_f64(pause);
        time::sleep_until(next.min(self.world.end).into()).await;
        next < self.world.end
    }
}

/// Lets all users live, and writes down what became of them.
pub async fn run<F>(options: Options, live: impl Fn(Seat) -> F) -> Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let people = people::read(&options.people)?;
    let asking = Duration::from_secs_f64(options.seconds);
    let world = Arc::new(World {
        people,
        tally: Tally::new(),
        journal: Journal::create(&options.journal)?,
        end: Instant::now() + asking,
        think: options.think,
    });
    let mut crowd = JoinSet::new();
    for number in 0..options.users {
        let life = live(Seat { world: world.clone(), number });
        let delay = Duration::from_secs_f64(options.ramp * fastrand::f64());
        crowd.spawn(async move {
            time::sleep(delay).await;
            life.await;
        });
    }
    let watch = tokio::spawn(watch(world.clone(), asking));
    let left =
        time::timeout(asking + LAST_ANSWERS, async { while crowd.join_next().await.is_some() {} })
            .await;
    watch.abort();
    world.journal.close()?;
    let told = serde_json::to_string_pretty(&world.tally.told(options.users, asking))?;
    std::fs::write(&options.out, told).with_context(|| options.out.display().to_string())?;
    ensure!(left.is_ok(), "{} users never got their last answer", crowd.len());
    Ok(())
}

/// Shows how far it is; nothing where standard error is no terminal.
async fn watch(world: Arc<World>, asking: Duration) {
    let bar = ProgressBar::new(asking.as_secs());
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}").expect("a good template");
    bar.set_style(style);
    let start = Instant::now();
    loop {
        time::sleep(Duration::from_millis(500)).await;
        let (well, errors) = world.tally.totals();
        bar.set_position(start.elapsed().as_secs().min(asking.as_secs()));
        bar.set_message(format!("{well} answered, {errors} errors"));
    }
}

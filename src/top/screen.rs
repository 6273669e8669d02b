//! The terminal while the view has it, and what is listened to meanwhile.

use std::io::{self, Stdout};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::console::Console;
use super::draw::{Theme, draw};
use super::state::{Flow, State, Update};
use super::target::Target;

/// A console that takes longer is taken for lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to reach a lost console, at most.
const RETRY: Duration = Duration::from_secs(1);

/// The terminal in our hands. Dropping it gives it back as it was; a panic does before its message is printed.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn take() -> io::Result<Self> {
        Ok(Screen { terminal: ratatui::try_init()? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Signals that end the view.
struct Ends([Signal; 3]);

impl Ends {
    fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let [one, two, three] = kinds.map(signal);
        Ok(Ends([one?, two?, three?]))
    }

    async fn come(&mut self) {
        let [one, two, three] = &mut self.0;
        tokio::select! {
            _ = one.recv() => {}
            _ = two.recv() => {}
            _ = three.recv() => {}
        }
    }
}

/// Shows the console live until somebody leaves.
pub(super) async fn show(
    target: Target,
    console: Console,
    mut state: State,
    theme: Theme,
) -> Result<(), String> {
    let words = |error: io::Error| format!("terminal: {error}");
    let mut ends = Ends::listen().map_err(words)?;
    let mut screen = Screen::take().map_err(words)?;
    let (tell, mut updates) = mpsc::channel(1);
    let sampler = tokio::spawn(sample(target, console, state.interval, tell));
    let mut events = listen();
    loop {
        screen.terminal.draw(|frame| draw(frame, &state, theme)).map_err(words)?;
        let flow = tokio::select! {
            event = events.recv() => match event {
                Some(Event::Key(key)) => state.key(key),
                // Anything else, such as another size, is a reason to draw.
                Some(_) => Flow::Go,
                None => Flow::Quit,
            },
            Some(update) = updates.recv() => {
                state.update(update);
                Flow::Go
            }
            () = ends.come() => Flow::Quit,
        };
        if flow == Flow::Quit {
            break;
        }
    }
    sampler.abort();
    Ok(())
}

/// Reads what comes from the keyboard on a thread of its own: reading blocks. It ends with the process.
fn listen() -> mpsc::UnboundedReceiver<Event> {
    let (tell, events) = mpsc::unbounded_channel();
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    events
}

/// Looks again and again. A console that is lost is looked for until it is there.
async fn sample(target: Target, console: Console, interval: Duration, tell: mpsc::Sender<Update>) {
    let mut console = Some(console);
    loop {
        let looked = tokio::time::timeout(PATIENCE, async {
            let open = match console.take() {
                Some(open) => open,
                None => Console::open(&target).await?,
            };
            let look = open.look().await?;
            console = Some(open);
            Ok(look)
        });
        let (update, pause) = match looked.await {
            Ok(Ok(look)) => (Update::Look(Box::new(look)), interval),
            Ok(Err::<_, super::console::Refused>(why)) => {
                (Update::Lost(why.to_string()), interval.min(RETRY))
            }
            Err(_) => (Update::Lost("no answer".to_owned()), interval.min(RETRY)),
        };
        if tell.send(update).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

//! Starts the processes, tells the transmitter what to emit, kills at random, and counts in the end.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use ssf_stream::transmitter::{RedbStreamStore, StreamStore as _};

use crate::inbox::Inbox;
use crate::plan::{self, Plan, Random};

/// The most events that were acknowledged and have not reached all applications: below the capacity of the queue.
const BACKLOG: u64 = 2000;
/// The memory of a process above which a run is bad.
const MAX_RSS_MB: u64 = 200;
/// A run in which nothing happens for so long has failed.
const STUCK: Duration = Duration::from_secs(60);

/// What a run found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Figures {
    /// Events that the transmitter acknowledged; each goes to every receiver.
    events: u64,
    /// Acknowledged events that an application did not get, of all receivers.
    lost: u64,
    /// Events that an application got after a later one.
    out_of_order: u64,
    /// Events that an application got again, and SETs that the library called new again.
    duplicates_delivered: u64,
    kills: u64,
    /// The most memory that one of the processes ever had.
    max_rss_mb: u64,
    seconds: u64,
}

impl Figures {
    fn good(&self) -> bool {
        self.lost == 0
            && self.out_of_order == 0
            && self.duplicates_delivered == 0
            && self.max_rss_mb < MAX_RSS_MB
    }

    /// Adds what one receiver got.
    fn judge(&mut self, inbox: &Inbox, acknowledged: &HashSet<u64>, next: u64) -> Result<()> {
        let mut got = HashSet::new();
        let mut last = 0;
        for number in inbox.done()? {
            ensure!(number > 0 && number < next, "an event nobody asked for");
            if !got.insert(number) {
                self.duplicates_delivered += 1;
            } else if number < last {
                self.out_of_order += 1;
            }
            last = last.max(number);
        }
        self.duplicates_delivered += inbox.called_new_again()?;
        self.lost += u64::try_from(acknowledged.difference(&got).count())?;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Transmitter,
    Receiver(usize),
}

struct Process {
    role: Role,
    child: Child,
    input: Option<ChildStdin>,
    reader: JoinHandle<()>,
}

struct Run {
    dir: PathBuf,
    window: usize,
    hold: u64,
    random: Random,
    processes: Vec<Process>,
    lines: Receiver<(Role, String)>,
    sender: Sender<(Role, String)>,
    /// The number of the next event. None is ever used twice.
    next: u64,
    outstanding: usize,
    acknowledged: HashSet<u64>,
    /// How many events each receiver has worked on, once it has its stream.
    done: Vec<Option<u64>>,
    pending: Option<u64>,
    kills: u64,
    max_rss_kb: u64,
    progress: Instant,
}

/// What a run does.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// The events that have to be acknowledged.
    pub(crate) events: u64,
    /// Chooses faults and kills.
    pub(crate) seed: u64,
    /// The receivers to which events are pushed.
    pub(crate) receivers: usize,
    /// The receivers that poll.
    pub(crate) pollers: usize,
    /// The most events that were asked for and not acknowledged.
    pub(crate) window: usize,
    /// Seconds for which a pusher's claim holds.
    pub(crate) hold: u64,
}

pub(crate) fn run(load: &Load) -> Result<ExitCode> {
    let &Load {
        events,
        seed,
        receivers,
        pollers,
        window,
        hold,
    } = load;
    ensure!(
        window > 0 && hold > 2,
        "a window of events, and claims that outlast two pushes"
    );
    ensure!(events > 0 && receivers + pollers > 0, "nothing to do");
    let started = Instant::now();
    let dir = std::env::temp_dir().join(format!("signals-soak-{}", std::process::id()));
    std::fs::create_dir(&dir).context("the folder of the run cannot be made")?;
    Plan::new(receivers, pollers)?.write(&dir)?;
    let (sender, lines) = channel();
    let mut run = Run {
        dir: dir.clone(),
        window,
        hold,
        random: Random(seed),
        processes: Vec::new(),
        lines,
        sender,
        next: 1,
        outstanding: 0,
        acknowledged: HashSet::new(),
        done: vec![None; receivers + pollers],
        pending: None,
        kills: 0,
        max_rss_kb: 0,
        progress: Instant::now(),
    };
    let outcome = run.drive(events);
    // Also after an error, so that no process is left behind.
    run.stop();
    outcome?;
    let figures = run.count(started)?;
    println!("{}", serde_json::to_string(&figures)?);
    if figures.good() {
        std::fs::remove_dir_all(&dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the files of the run are in {}", dir.display());
    Ok(ExitCode::FAILURE)
}

impl Run {
    fn drive(&mut self, events: u64) -> Result<()> {
        self.start(Role::Transmitter)?;
        for index in 0..self.done.len() {
            self.start(Role::Receiver(index))?;
        }
        let mut told = Instant::now();
        let mut looked = Instant::now();
        let mut kill_at = Instant::now() + self.pause();
        while !self.finished(events) {
            let got = self.lines.recv_timeout(Duration::from_millis(5));
            if let Ok((role, line)) = got {
                self.take(role, &line)?;
                while let Ok((role, line)) = self.lines.try_recv() {
                    self.take(role, &line)?;
                }
            }
            self.ask(events)?;
            if looked.elapsed() > Duration::from_millis(250) {
                looked = Instant::now();
                self.look()?;
            }
            if Instant::now() > kill_at {
                let index = self.random.below(u64::try_from(self.processes.len())?);
                self.kill(usize::try_from(index)?)?;
                kill_at = Instant::now() + self.pause();
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                eprintln!(
                    "{} acknowledged, {:?} done, {} kills",
                    self.acknowledged.len(),
                    self.done,
                    self.kills
                );
            }
            ensure!(self.progress.elapsed() < STUCK, "nothing happens any more");
        }
        Ok(())
    }

    /// The time until the next kill.
    fn pause(&mut self) -> Duration {
        Duration::from_millis(1000 + self.random.below(9000))
    }

    fn start(&mut self, role: Role) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        let seed = self.random.next().to_string();
        let (name, argument) = match role {
            Role::Transmitter => ("transmitter", self.hold.to_string()),
            Role::Receiver(index) => ("receiver", index.to_string()),
        };
        command.arg(name).arg(&self.dir).args([argument, seed]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let sender = self.sender.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send((role, line)).is_err() {
                    break;
                }
            }
        });
        self.processes.push(Process {
            role,
            input: child.stdin.take(),
            child,
            reader,
        });
        Ok(())
    }

    fn take(&mut self, role: Role, line: &str) -> Result<()> {
        match role {
            Role::Transmitter => {
                if let Some(pending) = line.strip_prefix("? ") {
                    self.pending = Some(pending.parse()?);
                    return Ok(());
                }
                self.progress = Instant::now();
                let fresh = self.acknowledged.insert(line.parse()?);
                ensure!(fresh, "an event was acknowledged twice");
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            Role::Receiver(index) => {
                // The last line of a process that was killed may be cut.
                let (Ok(count), Some(done)) = (line.parse(), self.done.get_mut(index)) else {
                    return Ok(());
                };
                if *done < Some(count) {
                    *done = Some(count);
                    self.progress = Instant::now();
                }
            }
        }
        Ok(())
    }

    fn finished(&self, events: u64) -> bool {
        self.acknowledged() >= events && self.outstanding == 0 && self.pending == Some(0)
    }

    fn acknowledged(&self) -> u64 {
        u64::try_from(self.acknowledged.len()).unwrap_or(u64::MAX)
    }

    /// Asks for more events, or how many wait when there are enough.
    fn ask(&mut self, events: u64) -> Result<()> {
        let acknowledged = self.acknowledged();
        let outstanding = u64::try_from(self.outstanding)?;
        // Before all have their streams, nothing is asked for.
        let slowest = self.done.iter().copied().min().flatten();
        let room = slowest
            .is_some_and(|slowest| (acknowledged + outstanding).saturating_sub(slowest) < BACKLOG);
        let mut lines = String::new();
        let mut asked = 0;
        while room
            && self.outstanding + asked < self.window
            && acknowledged + outstanding + u64::try_from(asked)? < events
        {
            lines += &format!("{}\n", self.next);
            self.next += 1;
            asked += 1;
        }
        if acknowledged >= events && self.outstanding == 0 && self.pending != Some(0) {
            self.pending = None;
            lines += "?\n";
            std::thread::sleep(Duration::from_millis(50));
        }
        self.outstanding += asked;
        let transmitter = self
            .processes
            .iter_mut()
            .find(|one| one.role == Role::Transmitter);
        let input = transmitter.and_then(|one| one.input.as_mut());
        if !lines.is_empty()
            && input
                .context("no transmitter")?
                .write_all(lines.as_bytes())
                .is_err()
        {
            bail!("the transmitter does not read");
        }
        Ok(())
    }

    /// Notes the memory of all processes, and that they live.
    fn look(&mut self) -> Result<()> {
        for process in &mut self.processes {
            if let Some(status) = process.child.try_wait()? {
                bail!("a process ended by itself: {status}");
            }
            self.max_rss_kb = self.max_rss_kb.max(peak_rss_kb(process.child.id())?);
        }
        Ok(())
    }

    /// Kills a process, takes what it said before, and starts it anew.
    fn kill(&mut self, index: usize) -> Result<()> {
        self.look()?;
        let mut process = self.processes.swap_remove(index);
        process.child.kill()?;
        process.child.wait()?;
        process.reader.join().ok().context("a reader failed")?;
        self.kills += 1;
        while let Ok((role, line)) = self.lines.try_recv() {
            self.take(role, &line)?;
        }
        if process.role == Role::Transmitter {
            // What it did not acknowledge may be in the queues or not, and is not asked for again.
            self.outstanding = 0;
            self.pending = None;
        }
        let down = Duration::from_millis(self.random.below(500));
        std::thread::sleep(down);
        self.start(process.role)
    }

    fn stop(&mut self) {
        for process in &mut self.processes {
            drop(process.input.take());
        }
        for mut process in self.processes.drain(..) {
            let asked = Instant::now();
            while matches!(process.child.try_wait(), Ok(None)) {
                if asked.elapsed() > Duration::from_secs(5) {
                    let _ = process.child.kill();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn count(&self, started: Instant) -> Result<Figures> {
        let store = RedbStreamStore::open(plan::streams(&self.dir))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let streams = runtime.block_on(store.page(None, usize::MAX))?;
        ensure!(streams.len() == self.done.len(), "a stream was made twice");
        let mut figures = Figures {
            events: self.acknowledged(),
            kills: self.kills,
            max_rss_mb: self.max_rss_kb.div_ceil(1024),
            seconds: started.elapsed().as_secs(),
            ..Figures::default()
        };
        for index in 0..self.done.len() {
            let inbox = Inbox::open(&plan::inbox(&self.dir, index))?;
            figures.judge(&inbox, &self.acknowledged, self.next)?;
        }
        Ok(figures)
    }
}

/// The most memory that a process has had.
fn peak_rss_kb(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("no VmHWM: this needs Linux")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soak that could not see a fault would prove nothing.
    #[test]
    fn every_kind_of_fault_is_counted() -> Result<()> {
        let path = std::env::temp_dir().join(format!("signals-soak-{}.redb", std::process::id()));
        let inbox = Inbox::open(&path)?;
        for (id, number) in [("a", 1), ("b", 3), ("c", 2), ("d", 3), ("a", 1)] {
            inbox.keep(id, number)?;
        }
        inbox.work(&["a".to_owned(), "b".to_owned()])?;
        inbox.work(&["a".to_owned()])?;
        let mut figures = Figures::default();
        figures.judge(&inbox, &(1..=5).collect(), 6)?;
        let expected = Figures {
            lost: 2,
            out_of_order: 1,
            duplicates_delivered: 2,
            ..Figures::default()
        };
        assert_eq!(figures, expected);
        assert!(!figures.good() && Figures::default().good());
        let unasked = Figures::default().judge(&inbox, &HashSet::new(), 3);
        assert!(unasked.is_err());
        drop(inbox);
        std::fs::remove_file(path)?;
        Ok(())
    }
}

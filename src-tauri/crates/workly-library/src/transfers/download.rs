//! Getting one file from the net: attempt by attempt, each from the byte where the last one ended.

use std::io::SeekFrom;
use std::time::Duration;

use reqwest::Response;
use tokio::fs::{self, File};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::task;
use tokio::time::Instant;
use url::Url;
use workly_core::problem::{Problem, ProblemCode};
use workly_wire::models::{HashSource, TransferState};

use super::check;
use super::host::{self, NoReply, Reply};
use super::job::{Halt, Job};
use super::pace::Pace;
use super::problems;
use super::response::{NextStep, judge};

/// Bytes between two looks at the disk.
const LOOK_EVERY: u64 = 64 << 20;
/// What every model begins with.
const MAGIC: &[u8] = b"GGUF";

/// Why an attempt ended before the file did.
#[derive(Debug)]
enum Trouble {
    Halt(Halt),
    /// It is tried again, after this time where the host said so.
    Again(Problem, Option<Duration>),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Halt(Halt::Failed(problem))
    }
}

/// The content of an answer, and where it goes.
struct Content {
    response: Response,
    host: String,
    /// Bytes of the file that are here.
    written: u64,
    /// Bytes of the whole file, where the host says so.
    total: Option<u64>,
    limit: Limit,
}

/// More bytes than this are not taken.
#[derive(Clone, Copy)]
enum Limit {
    /// The file has no more.
    File(u64),
    /// Nobody knows how long the file is, and the disk has no more room.
    Room(u64),
}

impl Limit {
    const fn bytes(self) -> u64 {
        match self {
            Self::File(bytes) | Self::Room(bytes) => bytes,
        }
    }
}

impl Job {
    /// Fetches a file until it is whole.
    pub(super) async fn download(&mut self, index: usize) -> Result<(), Halt> {
        let url = host::address(&self.record.files[index].source)?;
        let mut attempts = 0;
        let mut most = self.folder.received(&self.record, index);
        loop {
            let (problem, wait) = match self.attempt(index, &url).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Halt(halt)) => return Err(halt),
                Err(Trouble::Again(problem, wait)) => (problem, wait),
            };
            let received = self.folder.received(&self.record, index);
            // Less than that is no progress, or a host that trickles would be asked for ever.
            if received >= most.saturating_add(self.options.enough()) {
                (attempts, most) = (0, received);
            } else {
                attempts += 1;
            }
            if attempts >= self.options.attempts {
                return Err(problem.into());
            }
            let wait = wait.unwrap_or_else(|| self.options.wait(attempts.max(1), fastrand::f64()));
            tracing::info!(id = self.record.id, attempts, ?wait, %problem, "a download waits");
            self.show(TransferState::Waiting, Some(problem));
            tokio::select! {
                biased;
                () = self.stop.set() => return Err(Halt::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn attempt(&mut self, index: usize, url: &Url) -> Result<(), Trouble> {
        self.show(TransferState::Running, None);
        loop {
            let Some(have) = self.usable(index).await? else { return Ok(()) };
            let validator = self.record.files[index].validator.clone();
            let hosts = self.hosts.clone()?;
            let reply = tokio::select! {
                biased;
                () = self.stop.set() => return Err(Trouble::Halt(Halt::Stopped)),
                reply = hosts.open(url, have, validator.as_deref()) => reply,
            };
            let reply = reply.map_err(|none| match none {
                NoReply::Again(problem) => Trouble::Again(problem, None),
                NoReply::Refused(problem) => problem.into(),
            })?;
            let Reply { said, linked_sha256, host, content } = reply;
            let file = &self.record.files[index];
            match judge(&said, &host, file, have, linked_sha256.as_deref()) {
                NextStep::Complete => {
                    self.file(index).bytes = Some(have);
                    return Ok(self.save()?);
                }
                NextStep::StartOver => self.drop_part(index, Some(&host)).await?,
                NextStep::Refuse(problem) => return Err(problem.into()),
                NextStep::Again(problem, wait) => return Err(Trouble::Again(problem, wait)),
                NextStep::Take { from, total, is_new } => {
                    if is_new {
                        self.drop_part(index, Some(&host)).await?;
                    }
                    let file = self.file(index);
                    file.bytes = total;
                    // A piece need not tell again what was told of the whole.
                    file.validator = said.validator.or_else(|| file.validator.take().filter(|_| from > 0));
                    if file.hash != HashSource::Catalogue && linked_sha256.is_some() {
                        (file.sha256, file.hash) = (linked_sha256, HashSource::Host);
                    }
                    self.save()?;
                    let limit = self.limit(index, from, total).await?;
                    let content = Content { response: content, host, written: from, total, limit };
                    return self.receive(index, content).await;
                }
            }
        }
    }

    /// How many bytes of what is here can be gone on from; `None` when they are all.
    async fn usable(&mut self, index: usize) -> Result<Option<u64>, Trouble> {
        let have = self.folder.received(&self.record, index);
        let file = &self.record.files[index];
        // Nothing would tell whether the rest belongs to the same file.
        let is_blind = file.validator.is_none() && file.sha256.is_none();
        match file.bytes {
            Some(bytes) if have == bytes && bytes > 0 => return Ok(None),
            bytes if have > 0 && (is_blind || bytes.is_some_and(|bytes| have > bytes)) => {
                self.drop_part(index, None).await?;
                return Ok(Some(0));
            }
            _ => {}
        }
        self.show_received(index, have);
        Ok(Some(have))
    }

    /// Forgets what is here of a file, and says so where a host made it necessary.
    async fn drop_part(&mut self, index: usize, host: Option<&str>) -> Result<(), Trouble> {
        match fs::remove_file(self.part(index)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(self.folder.not_writable(&error).into());
            }
            _ => {}
        }
        self.file(index).forget_source();
        self.save()?;
        self.show_received(index, 0);
        if let Some(host) = host {
            let message = format!("{host} does not go on with what is here, or has another file now: it begins anew.");
            self.show(TransferState::Running, Some(Problem::new(ProblemCode::DownloadFailed, message)));
        }
        Ok(())
    }

    /// How many bytes may come; whether they find room.
    async fn limit(&self, index: usize, from: u64, total: Option<u64>) -> Result<Limit, Problem> {
        if let Some(total) = total.or(self.record.files[index].expected_bytes) {
            self.make_sure_of_room(total.saturating_sub(from)).await?;
            return Ok(Limit::File(total));
        }
        // Nobody says how long it is: the disk's room is the end, until the header tells better.
        self.make_sure_of_room(0).await?;
        let free = self.free_space().await.unwrap_or(u64::MAX);
        Ok(Limit::Room(from.saturating_add(free.saturating_sub(self.options.keep_free))))
    }

    async fn receive(&mut self, index: usize, mut content: Content) -> Result<(), Trouble> {
        let path = self.part(index);
        let open = async {
            let mut file = File::options().create(true).truncate(false).write(true).open(&path).await?;
            file.set_len(content.written).await?;
            file.seek(SeekFrom::Start(content.written)).await?;
            std::io::Result::Ok(file)
        };
        let mut file = open.await.map_err(|error| self.folder.not_writable(&error))?;
        let received = self.write(index, &mut content, &mut file).await;
        // Whatever the end, the file's length tells what is here.
        let flushed = self.sync(index, content.written, &mut file).await;
        drop(file);
        if matches!(&received, Err(Trouble::Halt(Halt::Failed(problem))) if is_of_the_content(problem)) {
            self.drop_part(index, None).await?;
        }
        received?;
        flushed?;
        if content.total.is_none() {
            self.file(index).bytes = Some(content.written);
            self.save()?;
        }
        Ok(())
    }

    async fn write(&mut self, index: usize, content: &mut Content, file: &mut File) -> Result<(), Trouble> {
        let mut looked = content.written;
        let mut start = if content.written == 0 { MAGIC } else { &[] };
        let mut pace = Pace::default();
        loop {
            let asked = Instant::now();
            let next = tokio::time::timeout(pace.left(self.options.patience), content.response.chunk());
            let chunk = tokio::select! {
                biased;
                () = self.stop.set() => return Err(Trouble::Halt(Halt::Stopped)),
                chunk = next => chunk,
            };
            let again = |problem| Err(Trouble::Again(problem, None));
            let chunk = match chunk {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) if content.total.is_some_and(|total| content.written < total) => {
                    return again(problems::broke_off(&content.host, "the content ended too early"));
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return again(problems::broke_off(&content.host, host::chain(&error))),
                Err(_) => return again(problems::stalled(&content.host, self.options.patience)),
            };
            pace.note(asked.elapsed(), chunk.len() as u64, self.options.enough());
            let compared = start.len().min(chunk.len());
            if chunk[..compared] != start[..compared] {
                let name = &self.record.files[index].name;
                let details = format!("{} sends something that does not begin as a model does", content.host);
                return Err(problems::not_a_model(name).with_details(details).into());
            }
            start = &start[compared..];
            content.written += chunk.len() as u64;
            if content.written > content.limit.bytes() {
                return Err(self.too_much(content).into());
            }
            file.write_all(&chunk).await.map_err(|error| self.folder.not_writable(&error))?;
            self.show_received(index, content.written);
            if content.written - looked >= LOOK_EVERY {
                looked = content.written;
                self.look_at_disk(index, content, file).await?;
            }
        }
    }

    /// Brings what was written onto the disk for good, and remembers how much that is.
    async fn sync(&mut self, index: usize, written: u64, file: &mut File) -> Result<(), Problem> {
        file.flush().await.map_err(|error| self.folder.not_writable(&error))?;
        file.sync_data().await.map_err(|error| self.folder.not_writable(&error))?;
        self.file(index).synced = written;
        self.save()
    }

    /// Whether there is still room, and what the header says of the length where the host does not.
    async fn look_at_disk(&mut self, index: usize, content: &mut Content, file: &mut File) -> Result<(), Trouble> {
        let left = content.total.map_or(0, |total| total - content.written);
        let free = self.free_space().await.unwrap_or(u64::MAX);
        // Half of what is kept free may be taken by others meanwhile.
        if free < left.min(LOOK_EVERY) + self.options.keep_free / 2 {
            return Err(problems::disk_full(self.folder.models(), left + self.options.keep_free, free).into());
        }
        self.sync(index, content.written, file).await?;
        if content.total.is_none() {
            let path = self.part(index);
            let told = task::spawn_blocking(move || check::bytes_by_header(&path)).await.ok().flatten();
            // Some writers fill the last block.
            if let Some(told) =
                told.map(|bytes| bytes.saturating_add(1 << 20)).filter(|told| *told < content.limit.bytes())
            {
                content.limit = Limit::File(told);
            }
            if content.written > content.limit.bytes() {
                return Err(self.too_much(content).into());
            }
        }
        Ok(())
    }

    fn too_much(&self, content: &Content) -> Problem {
        let Limit::File(bytes) = content.limit else { return problems::disk_ran_full(self.folder.models()) };
        let message =
            format!("{} sends more than the file can have. It was removed; take another source.", content.host);
        problems::other_file(message).with_details(format!("more than {bytes} bytes"))
    }
}

/// Whether what is here is of no use, because it is not the file.
fn is_of_the_content(problem: &Problem) -> bool {
    matches!(problem.code, ProblemCode::NotGguf | ProblemCode::HashMismatch)
}

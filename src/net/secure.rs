//! Streams with TLS: what is received is opened before anybody sees it, what is sent is sealed before it goes out.

use std::io;
use std::task::{Context, Poll, ready};

use openssl::ssl::{Ssl, SslRef};

use super::channel::Channel;
use super::sends::Rest;
use super::{Buffer, BufferPool, Stream};

impl Stream {
    /// Puts TLS over the connection.
    ///
    /// # Errors
    /// Why the handshake failed; the connection is closed then.
    pub async fn secure(self, ssl: Ssl) -> Result<Self, String> {
        let begun = self.suspend().begin_tls(ssl, Buffer::new());
        let mut stream = begun.map_err(|error| error.to_string())?;
        while !stream.shake_hands().await? {
            stream.hear_handshake().await?;
        }
        Ok(stream)
    }

    /// Takes a handshake as far as it goes, and sends what it has to say; false when it needs bytes of the peer.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn shake_hands(&mut self) -> Result<bool, String> {
        let Channel::Tls(tls) = self.io.get_mut() else { return Ok(true) };
        let step = tls.handshake();
        let sealed = tls.take_sealed();
        self.put_out(sealed);
        std::future::poll_fn(|cx| {
            let sent = self.poll_sent(cx);
            // The last word of one that failed, an alert, is heard if the kernel takes it.
            let done = step.clone()?;
            sent.map(|sent| sent.map(|()| done).map_err(|error| error.to_string()))
        })
        .await
    }

    /// Waits for bytes that a handshake needs.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn hear_handshake(&mut self) -> Result<(), String> {
        let heard = std::future::poll_fn(|cx| self.poll_sealed(cx, &BufferPool::default())).await;
        heard.map_err(|error| error.to_string())
    }

    /// What TLS has settled; `None` without it.
    pub fn tls(&self) -> Option<&SslRef> {
        match self.io.get_ref() {
            Channel::Plain(_) => None,
            Channel::Tls(tls) => Some(tls.ssl()),
        }
    }

    /// Receives what others have sealed, and opens it.
    pub(super) fn poll_opened(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(0)) };
            let opened = tls.open(buffer, pool);
            let sealed = tls.take_sealed();
            if !sealed.is_empty() {
                // An alert. Whether the peer hears it changes nothing.
                self.put_out(sealed);
                let _ = self.poll_sent(cx);
            }
            if let Some(count) = opened? {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_sealed(cx, pool))?;
        }
    }

    /// Receives for TLS what it will open.
    fn poll_sealed(&mut self, cx: &mut Context<'_>, pool: &BufferPool) -> Poll<io::Result<()>> {
        let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(())) };
        let mut buffer = tls.lend_buffer();
        let received = self.poll_socket(cx, &mut buffer, pool);
        if received.is_pending() {
            buffer.release(pool);
        }
        let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(())) };
        tls.take_back(buffer, matches!(received, Poll::Ready(Ok(0))));
        received.map_ok(drop)
    }

    /// Seals a part of `bytes` and sends it. What is sealed counts as sent, whatever the kernel takes of it now.
    pub(super) fn send_sealed(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let Channel::Tls(tls) = self.io.get_mut() else { return Ok(0) };
        let count = tls.seal(bytes)?;
        let sealed = tls.take_sealed();
        if !self.out.plan(cx, &sealed) {
            self.put_out(sealed);
            if let Poll::Ready(Err(error)) = self.poll_sent(cx) {
                return Err(error);
            }
        }
        Ok(count)
    }

    /// Seals and sends all of `bytes`.
    pub(super) async fn send_all_sealed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Channel::Tls(tls) = self.io.get_mut()
            && !rest.is_empty()
        {
            let count = tls.seal(rest)?;
            let sealed = tls.take_sealed();
            self.put_out(sealed);
            std::future::poll_fn(|cx| self.poll_sent(cx)).await?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Puts sealed bytes behind what is still to be sent; [`Stream::poll_sent`] sends them.
    fn put_out(&mut self, sealed: Vec<u8>) {
        if sealed.is_empty() {
            return;
        }
        match self.out.rest() {
            Some(rest) => rest.bytes.extend_from_slice(&sealed),
            none => *none = Some(Box::new(Rest { bytes: sealed, error: None })),
        }
    }
}

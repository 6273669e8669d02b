//! Memory comes and goes, bytes stay.

use proptest::prelude::*;

use super::*;

fn with(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::new();
    buffer.push(bytes);
    buffer
}

#[test]
fn an_emptied_buffer_gives_its_memory_back() {
    let pool = BufferPool::default();
    let mut buffer = Buffer::new();
    buffer.prepare(&pool);
    assert_eq!(buffer.space().len(), SMALL);
    buffer.fill(3);
    buffer.release(&pool);
    assert_eq!(buffer.capacity(), SMALL, "kept while bytes are pending");
    buffer.consume(3);
    buffer.release(&pool);
    assert_eq!(buffer.capacity(), 0);
    assert_eq!(pool.small.borrow().pieces.len(), 1);
}

#[test]
fn only_memory_that_is_needed_is_kept() {
    let pool = BufferPool::default();
    let spare = || pool.small.borrow().pieces.len();
    for piece in [pool.take(SMALL), pool.take(SMALL), pool.take(SMALL)] {
        pool.put(piece);
    }
    pool.trim();
    assert_eq!(spare(), 3, "all of it was in use");
    let needed = pool.take(SMALL);
    pool.put(needed);
    pool.trim();
    assert_eq!(spare(), 1);
    pool.trim();
    assert_eq!(spare(), 0);
}

#[test]
fn a_buffer_alone_grows_as_it_fills() {
    let mut buffer = Buffer::new();
    for size in [TINY, 2 * TINY, 4 * TINY] {
        buffer.prepare_alone();
        assert_eq!(buffer.capacity(), size);
        let space = buffer.space().len();
        buffer.fill(space);
    }
    buffer.consume(1);
    buffer.prepare_alone();
    assert_eq!((buffer.capacity(), buffer.space().len()), (4 * TINY, 1));
    buffer.reserve(SMALL);
    let space = buffer.space().len();
    buffer.fill(space);
    buffer.prepare_alone();
    assert_eq!(buffer.capacity(), SMALL, "what asks for more has to say so");
}

#[test]
fn it_begins_with_what_was_needed_until_less_is() {
    let pool = BufferPool::default();
    let mut buffer = Buffer::for_requests();
    let mut receive = |count: usize| {
        buffer.prepare(&pool);
        let capacity = buffer.capacity();
        buffer.fill(count);
        if buffer.is_full() {
            buffer.enlarge(&pool);
        }
        buffer.consume(buffer.len());
        buffer.release(&pool);
        capacity
    };
    let capacities = [MODEST, SMALL, SMALL, SMALL, 100, 100].map(&mut receive);
    assert_eq!(capacities, [MODEST, SMALL, LARGE, LARGE, LARGE, MODEST]);
}

#[test]
fn where_much_is_expected_all_the_room_is_there_at_once_and_every_time() {
    let pool = BufferPool::default();
    let mut buffer = Buffer::new();
    for _ in 0..3 {
        buffer.expect_much(&pool);
        buffer.prepare(&pool);
        assert_eq!(buffer.capacity(), HUGE);
        buffer.fill(HUGE / 8);
        buffer.consume(buffer.len());
        buffer.release(&pool);
    }
    buffer.prepare(&pool);
    assert_eq!(buffer.capacity(), SMALL, "short receives end it");
    buffer.push(b"hello");
    buffer.expect_much(&pool);
    assert_eq!((buffer.filled(), buffer.capacity()), (&b"hello"[..], HUGE));
}

#[test]
fn enlarging_keeps_the_bytes() {
    let pool = BufferPool::default();
    let mut buffer = Buffer::new();
    buffer.prepare(&pool);
    buffer.push(b"hello");
    buffer.consume(1);
    buffer.enlarge(&pool);
    assert_eq!((buffer.filled(), buffer.capacity()), (&b"ello"[..], LARGE));
}

#[test]
fn requests_start_modestly_and_grow_in_steps() {
    let pool = BufferPool::default();
    let mut buffer = Buffer::for_requests();
    buffer.prepare(&pool);
    for larger in [SMALL, LARGE, LARGE] {
        let space = buffer.space().len();
        buffer.fill(space);
        buffer.enlarge(&pool);
        assert_eq!(buffer.capacity(), larger);
    }
}

proptest! {
    #[test]
    fn edits_agree_with_a_vector(
        start in proptest::collection::vec(any::<u8>(), 0..60),
        edits in proptest::collection::vec((0_usize..80, 0_usize..80, proptest::collection::vec(any::<u8>(), 0..20), 0_usize..4), 0..20),
    ) {
        let mut model = start.clone();
        let mut buffer = with(&start);
        for (a, b, bytes, eaten) in edits {
            let a = a.min(model.len());
            let b = b.min(model.len()).max(a);
            model.splice(a..b, bytes.iter().copied());
            buffer.replace(a..b, &bytes);
            let eaten = eaten.min(model.len());
            model.drain(..eaten);
            buffer.consume(eaten);
            prop_assert_eq!(buffer.filled(), &model[..]);
        }
    }
}

//! Instructions of the kernel's virtual machine, one call each, with jumps to marks.
//!
//! Eight bytes an instruction: operation, registers, offset, number. Only what `programs` needs is here; jumps lead forward only, so
//! that whoever reads a program sees that it ends. The kernel checks all of it again.

/// A register. `R0` is what a call gives, `R1` to `R5` are its arguments and lost by it, `R10` is the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R9,
    R10,
}

/// What the kernel does for a program. The numbers are the kernel's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Helper {
    /// Where a key's value is; 0: nowhere.
    Find = 1,
    /// Puts a value under a key.
    Put = 2,
    /// Nanoseconds since the host began.
    Now = 5,
    /// The task that runs; 0 in its lower half: none.
    Current = 14,
}

/// A map that a program uses: which one the kernel made of it, the loader writes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// A row of numbers for each core.
    Rows,
    /// Tasks, and since when each waits for a core; 0: it does not.
    Waiting,
}

/// A place that jumps lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

/// When to jump.
#[derive(Clone, Copy, Debug)]
pub(super) enum If {
    Always,
    Equal(Register, i32),
    Unequal(Register, i32),
    Less(Register, i32),
    More(Register, i32),
    LessThan(Register, Register),
}

/// A program on its way.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    code: Vec<[u8; 8]>,
    marks: Vec<Option<usize>>,
    jumps: Vec<(usize, Mark)>,
    maps: Vec<(usize, Map)>,
}

/// A program as bytes, and at which of them a map is to be written in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
    pub(super) maps: Vec<(usize, Map)>,
}

impl Assembly {
    fn push(&mut self, operation: u8, to: Register, from: u8, offset: i16, number: i32) -> &mut Self {
        let [low, high] = offset.to_ne_bytes();
        let [a, b, c, d] = number.to_ne_bytes();
        // Which half of the byte is which register goes by the machine's order of bytes, too.
        let registers = if cfg!(target_endian = "big") { ((to as u8) << 4) | from } else { (from << 4) | (to as u8) };
        self.code.push([operation, registers, low, high, a, b, c, d]);
        self
    }

    pub(super) fn copy(&mut self, to: Register, from: Register) -> &mut Self {
        self.push(0xbf, to, from as u8, 0, 0)
    }

    pub(super) fn set(&mut self, to: Register, number: i32) -> &mut Self {
        self.push(0xb7, to, 0, 0, number)
    }

    pub(super) fn add_number(&mut self, to: Register, number: i32) -> &mut Self {
        self.push(0x07, to, 0, 0, number)
    }

    pub(super) fn add(&mut self, to: Register, from: Register) -> &mut Self {
        self.push(0x0f, to, from as u8, 0, 0)
    }

    pub(super) fn subtract(&mut self, to: Register, from: Register) -> &mut Self {
        self.push(0x1f, to, from as u8, 0, 0)
    }

    pub(super) fn keep_bits(&mut self, of: Register, bits: i32) -> &mut Self {
        self.push(0x57, of, 0, 0, bits)
    }

    pub(super) fn shift_left(&mut self, of: Register, by: i32) -> &mut Self {
        self.push(0x67, of, 0, 0, by)
    }

    pub(super) fn shift_right(&mut self, of: Register, by: i32) -> &mut Self {
        self.push(0x77, of, 0, 0, by)
    }

    /// Eight bytes from where `from` and `offset` say.
    pub(super) fn load(&mut self, to: Register, from: Register, offset: i16) -> &mut Self {
        self.push(0x79, to, from as u8, offset, 0)
    }

    /// Eight bytes to where `to` and `offset` say.
    pub(super) fn store(&mut self, to: Register, offset: i16, from: Register) -> &mut Self {
        self.push(0x7b, to, from as u8, offset, 0)
    }

    pub(super) fn store_number(&mut self, to: Register, offset: i16, number: i32) -> &mut Self {
        self.push(0x7a, to, 0, offset, number)
    }

    /// Four bytes.
    pub(super) fn store_half(&mut self, to: Register, offset: i16, number: i32) -> &mut Self {
        self.push(0x62, to, 0, offset, number)
    }

    pub(super) fn call(&mut self, helper: Helper) -> &mut Self {
        self.push(0x85, Register::R0, 0, 0, helper as i32)
    }

    /// Two instructions' room: which map it is, is written in when the kernel has made it.
    pub(super) fn map(&mut self, to: Register, map: Map) -> &mut Self {
        self.maps.push((self.code.len(), map));
        self.push(0x18, to, 0, 0, 0).push(0, Register::R0, 0, 0, 0)
    }

    pub(super) fn mark(&mut self) -> Mark {
        self.marks.push(None);
        Mark(self.marks.len() - 1)
    }

    /// What comes next is what the mark means.
    pub(super) fn here(&mut self, mark: Mark) -> &mut Self {
        self.marks[mark.0] = Some(self.code.len());
        self
    }

    pub(super) fn jump(&mut self, when: If, to: Mark) -> &mut Self {
        self.jumps.push((self.code.len(), to));
        match when {
            If::Always => self.push(0x05, Register::R0, 0, 0, 0),
            If::Equal(one, number) => self.push(0x15, one, 0, 0, number),
            If::Unequal(one, number) => self.push(0x55, one, 0, 0, number),
            If::Less(one, number) => self.push(0xa5, one, 0, 0, number),
            If::More(one, number) => self.push(0x25, one, 0, 0, number),
            If::LessThan(one, other) => self.push(0xad, one, other as u8, 0, 0),
        }
    }

    /// The end of a program: it says 0 to the kernel, which asks nothing of it.
    pub(super) fn finish(mut self, end: Mark) -> Code {
        self.here(end).set(Register::R0, 0).push(0x95, Register::R0, 0, 0, 0);
        for (at, mark) in &self.jumps {
            let target = self.marks[mark.0].expect("each mark that is jumped to is placed");
            let over = target.checked_sub(at + 1).expect("jumps lead forward");
            let [low, high] = i16::try_from(over).expect("programs are short").to_ne_bytes();
            (self.code[*at][2], self.code[*at][3]) = (low, high);
        }
        let maps = self.maps.into_iter().map(|(at, map)| (at * INSTRUCTION, map)).collect();
        Code { bytes: self.code.concat(), maps }
    }
}

/// Bytes.
pub(super) const INSTRUCTION: usize = 8;

#[cfg(test)]
mod tests {
    use super::Register::{R0, R1, R6};
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_jump_leads_over_what_stands_between_and_maps_are_named_by_their_place() {
        let mut program = Assembly::default();
        let end = program.mark();
        program.load(R6, R1, 8).jump(If::Equal(R6, 0), end).map(R1, Map::Waiting).set(R0, -1);
        let code = program.finish(end);
        let wanted: [[u8; 8]; 7] = [
            [0x79, 0x16, 8, 0, 0, 0, 0, 0],
            [0x15, 0x06, 3, 0, 0, 0, 0, 0],
            [0x18, 0x01, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0xb7, 0, 0, 0, 0, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(code, Code { bytes: wanted.concat(), maps: vec![(16, Map::Waiting)] });
    }
}

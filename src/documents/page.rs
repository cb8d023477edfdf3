//! A page as it is drawn, in millimetres from its upper left corner: filled areas and runs of text, nothing else.
//!
//! Rules, bars and the squares of a QR code are areas; so every format needs to know two things only.
//!
//! **Owns** the marks. **Fails** never. **Limits**: text has the signs of [`super::latin`]; what is put outside the page is
//! the layout's fault, and the layout's tests look for it.

use super::fit::{ASCENT, Fitted, Frame, LEADING, fit};
use super::font::Weight;
use super::latin;

/// A4.
pub const WIDTH: f32 = 210.0;
/// A4.
pub const HEIGHT: f32 = 297.0;

/// One sheet.
pub struct Page {
    pub title: String,
    pub marks: Vec<Mark>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    Area(Area),
    Run(Run),
}

/// A filled rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub place: Place,
    pub ink: Ink,
}

/// How dark an area is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Black,
    /// A light grey behind black text.
    Tint,
}

/// Text on a baseline, from its left end.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub x: f32,
    pub baseline: f32,
    pub size: f32,
    pub weight: Weight,
    pub text: String,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

/// Where text stands between left and right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Centre,
    Right,
}

/// How one line of text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub size: f32,
    pub weight: Weight,
    pub align: Align,
}

impl Ink {
    /// From 0 for black to 1 for white.
    pub fn lightness(self) -> f32 {
        match self {
            Self::Black => 0.0,
            Self::Tint => 0.9,
        }
    }
}

impl Place {
    pub fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    pub fn right(&self) -> f32 {
        self.x + self.width
    }

    pub fn bottom(&self) -> f32 {
        self.y + self.height
    }

    /// The same with a margin inside.
    pub fn inset(&self, across: f32, down: f32) -> Self {
        Self::new(self.x + across, self.y + down, self.width - 2.0 * across, self.height - 2.0 * down)
    }
}

impl Run {
    /// From its left end to where a next sign would stand.
    pub fn width(&self) -> f32 {
        self.weight.font().width(&self.text) * self.size
    }
}

impl Page {
    pub fn new(title: String) -> Self {
        Self { title, marks: Vec::with_capacity(1_024) }
    }

    pub fn area(&mut self, place: Place, ink: Ink) {
        self.marks.push(Mark::Area(Area { place, ink }));
    }

    /// A horizontal rule, its middle at `y`.
    pub fn across(&mut self, x: f32, y: f32, width: f32, thickness: f32) {
        self.area(Place::new(x, y - thickness / 2.0, width, thickness), Ink::Black);
    }

    /// A vertical rule, its middle at `x`.
    pub fn down(&mut self, x: f32, y: f32, height: f32, thickness: f32) {
        self.area(Place::new(x - thickness / 2.0, y, thickness, height), Ink::Black);
    }

    /// The four sides of a box, drawn inside it.
    pub fn outline(&mut self, place: Place, thickness: f32) {
        let inner = place.inset(thickness / 2.0, thickness / 2.0);
        self.across(place.x, inner.y, place.width, thickness);
        self.across(place.x, inner.bottom(), place.width, thickness);
        self.down(inner.x, place.y, place.height, thickness);
        self.down(inner.right(), place.y, place.height, thickness);
    }

    /// Where scissors go, over the whole width of the page but for margins.
    pub fn cut_line(&mut self, x: f32, y: f32, width: f32) {
        const DASH: f32 = 1.6;
        const GAP: f32 = 1.2;
        let mut at = x;
        while at < x + width {
            self.across(at, y, DASH.min(x + width - at), 0.2);
            at += DASH + GAP;
        }
    }

    /// One line of text that is known to fit; `x` is its left end, its middle or its right end.
    pub fn line(&mut self, x: f32, baseline: f32, style: Style, text: &str) {
        let text = latin::printable(text).replace(latin::NO_BREAK, " ");
        let Style { size, weight, align } = style;
        self.run(x, baseline, size, weight, align, text);
    }

    /// Paragraphs from the top of a place, at the largest size that fits; true where something was left out.
    pub fn paragraphs(&mut self, place: Place, frame: &Frame, align: Align, paragraphs: &[String]) -> bool {
        let fitted = fit(paragraphs, frame);
        self.fitted(place, frame.weight, align, &fitted);
        fitted.cut
    }

    /// Lines that were fitted to this place before.
    pub fn fitted(&mut self, place: Place, weight: Weight, align: Align, fitted: &Fitted) {
        let x = match align {
            Align::Left => place.x,
            Align::Centre => place.x + place.width / 2.0,
            Align::Right => place.right(),
        };
        let mut baseline = place.y + ASCENT * fitted.size;
        for line in &fitted.lines {
            self.run(x, baseline, fitted.size, weight, align, line.clone());
            baseline += fitted.size * LEADING;
        }
    }

    fn run(&mut self, x: f32, baseline: f32, size: f32, weight: Weight, align: Align, text: String) {
        if text.is_empty() {
            return;
        }
        let mut run = Run { x, baseline, size, weight, text };
        run.x -= match align {
            Align::Left => 0.0,
            Align::Centre => run.width() / 2.0,
            Align::Right => run.width(),
        };
        self.marks.push(Mark::Run(run));
    }
}

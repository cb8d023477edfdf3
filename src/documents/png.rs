//! The page as a picture in shades of grey.
//!
//! Areas fall on whole dots, so that bars and rules are crisp; at 200 dots an inch a narrow bar is two dots wide. Letters
//! are drawn from the font's own outlines.
//!
//! **Owns** one byte for each dot while it draws: 3.9 MB at 200 dots an inch, 35 MB at 600. **Fails** never.
//! **Limits**: 150 to 600 dots an inch, below which a scanner cannot tell narrow bars from wide ones.

use std::io::Write as _;

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use ttf_parser::OutlineBuilder;

use super::page::{Area, HEIGHT, Mark, Page, Run, WIDTH};

/// What is thinner, in millimetres, is a rule: the narrowest bar has 0.254.
const RULE_MAX: f32 = 0.25;

/// Dots an inch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution(u16);

impl Resolution {
    pub const MIN: u16 = 150;
    pub const MAX: u16 = 600;

    /// So many dots an inch, from 150 to 600.
    pub fn new(dots_per_inch: u16) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&dots_per_inch).then_some(Self(dots_per_inch))
    }

    fn dots_per_mm(self) -> f32 {
        f32::from(self.0) / 25.4
    }
}

impl Default for Resolution {
    /// 200 dots an inch: a picture of 1,654 by 2,339.
    fn default() -> Self {
        Self(200)
    }
}

/// Writes a page down.
pub fn write(page: &Page, resolution: Resolution) -> Vec<u8> {
    let scale = resolution.dots_per_mm();
    let mut picture = Picture::white(whole(WIDTH * scale), whole(HEIGHT * scale), scale);
    for mark in &page.marks {
        if let Mark::Area(area) = mark {
            picture.area(area);
        }
    }
    let mut rasterizer = Rasterizer::new(0, 0);
    for mark in &page.marks {
        if let Mark::Run(run) = mark {
            picture.run(run, &mut rasterizer);
        }
    }
    file(&picture, resolution)
}

/// The nearest whole number of dots. The cast saturates; a page has thousands of dots, so that it never has to.
fn whole(dots: f32) -> usize {
    dots.round().max(0.0) as usize
}

struct Picture {
    width: usize,
    height: usize,
    scale: f32,
    /// 0 is black, 255 white; row by row.
    dots: Vec<u8>,
}

impl Picture {
    fn white(width: usize, height: usize, scale: f32) -> Self {
        Self { width, height, scale, dots: vec![u8::MAX; width * height] }
    }

    /// Fills whole dots, at least one each way.
    fn area(&mut self, area: &Area) {
        let span = |from: f32, to: f32, end: usize| {
            let begin = whole(from * self.scale).min(end);
            // Rules are to look alike wherever they fall; bars and squares have to meet what is beside them.
            let dots = if to - from < RULE_MAX {
                whole((to - from) * self.scale)
            } else {
                whole(to * self.scale).saturating_sub(begin)
            };
            (begin, (begin + dots.max(1)).min(end))
        };
        let (left, right) = span(area.place.x, area.place.right(), self.width);
        let (top, bottom) = span(area.place.y, area.place.bottom(), self.height);
        let level = grey(area.ink.lightness());
        for y in top..bottom {
            self.dots[y * self.width + left..y * self.width + right].fill(level);
        }
    }

    fn run(&mut self, run: &Run, rasterizer: &mut Rasterizer) {
        let font = run.weight.font();
        let (face, units) = font.face();
        let size = run.size * self.scale;
        let (mut x, baseline) = (run.x * self.scale, run.baseline * self.scale);
        for sign in run.text.chars() {
            if let Some((glyph, bounds)) =
                font.glyph(sign).and_then(|glyph| Some((glyph, face.glyph_bounding_box(glyph)?)))
            {
                let scale = size / units;
                // The glyph's own box, with a dot to spare at each side.
                let left = (x + f32::from(bounds.x_min) * scale).floor() - 1.0;
                let top = (baseline - f32::from(bounds.y_max) * scale).floor() - 1.0;
                let width = whole(f32::from(bounds.x_max - bounds.x_min) * scale) + 4;
                let height = whole(f32::from(bounds.y_max - bounds.y_min) * scale) + 4;
                rasterizer.reset(width, height);
                let mut pen = Pen {
                    rasterizer,
                    scale,
                    x: x - left,
                    y: baseline - top,
                    start: None,
                    at: Point::default(),
                };
                face.outline_glyph(glyph, &mut pen);
                self.blend(rasterizer, whole(left), whole(top));
            }
            x += font.advance(sign) * size;
        }
    }

    /// Darkens the dots by how much of each the glyph covers.
    fn blend(&mut self, rasterizer: &Rasterizer, left: usize, top: usize) {
        let (width, _) = rasterizer.dimensions();
        rasterizer.for_each_pixel(|at, covered| {
            let (x, y) = (left + at % width, top + at / width);
            if covered > 0.0 && x < self.width && y < self.height {
                let dot = &mut self.dots[y * self.width + x];
                *dot = grey(f32::from(*dot) / 255.0 * (1.0 - covered.min(1.0)));
            }
        });
    }
}

/// A shade as a byte; what is beyond black or white is black or white.
fn grey(lightness: f32) -> u8 {
    (lightness * 255.0).round() as u8
}

/// Takes a glyph's outline, in the font's units and upwards, to the dots of its own box, downwards.
struct Pen<'a> {
    rasterizer: &'a mut Rasterizer,
    scale: f32,
    x: f32,
    y: f32,
    start: Option<Point>,
    at: Point,
}

impl Pen<'_> {
    fn point(&self, x: f32, y: f32) -> Point {
        point(self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Pen<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.at = self.point(x, y);
        self.start = Some(self.at);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let to = self.point(x, y);
        self.rasterizer.draw_line(self.at, to);
        self.at = to;
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (control, to) = (self.point(x1, y1), self.point(x, y));
        self.rasterizer.draw_quad(self.at, control, to);
        self.at = to;
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (first, second, to) = (self.point(x1, y1), self.point(x2, y2), self.point(x, y));
        self.rasterizer.draw_cubic(self.at, first, second, to);
        self.at = to;
    }

    fn close(&mut self) {
        if let Some(start) = self.start.take() {
            self.rasterizer.draw_line(self.at, start);
            self.at = start;
        }
    }
}

/// The dots as a PNG file: eight bits of grey, with the resolution, so that it prints in its true size.
fn file(picture: &Picture, resolution: Resolution) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    for side in [picture.width, picture.height] {
        header.extend(u32::try_from(side).unwrap_or(u32::MAX).to_be_bytes());
    }
    // Eight bits of grey; the only compression and filters there are; not interlaced.
    header.extend([8, 0, 0, 0, 0]);
    chunk(&mut out, b"IHDR", &header);
    let dots_per_metre = whole(resolution.dots_per_mm() * 1_000.0);
    let mut physical = Vec::with_capacity(9);
    for _ in 0..2 {
        physical.extend(u32::try_from(dots_per_metre).unwrap_or(u32::MAX).to_be_bytes());
    }
    physical.push(1);
    chunk(&mut out, b"pHYs", &physical);
    chunk(&mut out, b"IDAT", &deflate(picture));
    chunk(&mut out, b"IEND", &[]);
    out
}

/// Each row as its difference from the one above, which on a form is mostly nothing.
fn deflate(picture: &Picture) -> Vec<u8> {
    const UP: u8 = 2;
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(128 * 1_024), Compression::new(4));
    let mut above = vec![0; picture.width];
    let mut line = Vec::with_capacity(picture.width + 1);
    for row in picture.dots.chunks_exact(picture.width) {
        line.clear();
        line.push(UP);
        line.extend(row.iter().zip(&above).map(|(dot, above)| dot.wrapping_sub(*above)));
        encoder.write_all(&line).expect("a vector takes whatever is written to it");
        above.copy_from_slice(row);
    }
    encoder.finish().expect("a vector takes whatever is written to it")
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let begin = out.len();
    out.extend(kind);
    out.extend(data);
    let mut crc = Crc::new();
    crc.update(&out[begin..]);
    out.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{samples, sheet};

    #[test]
    fn a_resolution_is_one_that_scanners_read() {
        assert_eq!(Resolution::new(200), Some(Resolution::default()));
        assert_eq!(Resolution::new(149), None);
        assert_eq!(Resolution::new(601), None);
    }

    #[test]
    fn a_page_is_a_picture_of_its_size() {
        let page = sheet::lay_out(&samples::document());
        let png = write(&page, Resolution::default());
        assert_eq!(png, write(&page, Resolution::default()));
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (1_654, 2_339));
        assert!(png.len() < 400_000, "{} bytes", png.len());
    }
}

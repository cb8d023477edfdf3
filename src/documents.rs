//! A boleto as a page that can be printed, shown and paid: PDF, PNG, SVG and HTML from one form.
//!
//! The words of the form are chosen once ([`form`]); for PDF, PNG and SVG they are laid out once, in millimetres, as areas
//! and runs of text ([`page`]), and each format only writes those down. HTML takes the same words and leaves the lines
//! to the browser.
//!
//! **Owns** the two fonts that it measures and draws with. Pure: the same document makes the same bytes.
//! **Fails** with every text that is longer than the form can hold ([`DocumentError`]); nothing is left out in silence.
//! **Limits**: one A4 page; the lengths in [`limits`]; 150 to 600 dots an inch. PDF, PNG and SVG show the signs of
//! Windows-1252 ([`latin`]); HTML shows the text as it was given.

mod blocks;
mod boleto;
mod document;
mod fit;
mod font;
mod form;
mod html;
mod itf;
mod latin;
pub mod legacy_transfer;
mod limits;
mod markup;
mod page;
mod pdf;
mod png;
mod qr;
mod receipt;
mod sheet;
mod slip;
mod svg;
mod words;

#[cfg(test)]
mod samples;

pub use self::boleto::of_boleto;
pub use self::document::{Bank, BoletoDocument, DocumentError, Party, Standing};
pub use self::limits::PIX_EMV_BYTES_MAX;
pub use self::png::Resolution;
pub use self::words::{amount, date, postal_address, printed_tax_id};
use crate::domain::document_link::LinkFormat;

/// What a document is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vectors and selectable text, a few kilobytes.
    Pdf,
    /// A picture of the same page, in shades of grey.
    Png(Resolution),
    /// The same page as one drawing.
    Svg,
    /// A page for browsers and screen readers that prints as the form.
    Html,
}

impl Format {
    /// The media type, with the character set where it has one.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png(_) => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// How a file of it ends, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Png(_) => "png",
            Self::Svg => "svg",
            Self::Html => "html",
        }
    }
}

impl From<LinkFormat> for Format {
    fn from(format: LinkFormat) -> Self {
        match format {
            LinkFormat::Pdf => Self::Pdf,
            LinkFormat::Png => Self::Png(Resolution::default()),
            LinkFormat::Svg => Self::Svg,
            LinkFormat::Html => Self::Html,
        }
    }
}

/// Writes a document down.
///
/// # Errors
/// Every text that is longer than the form can hold.
pub fn render(document: &BoletoDocument, format: Format) -> Result<Vec<u8>, DocumentError> {
    limits::check(document)?;
    Ok(match format {
        Format::Pdf => pdf::write(&sheet::lay_out(document)),
        Format::Png(resolution) => png::write(&sheet::lay_out(document), resolution),
        Format::Svg => svg::write(&sheet::lay_out(document)).into_bytes(),
        Format::Html => html::write(document).into_bytes(),
    })
}

//! What is answered: a document, or a plain page in Portuguese that says why there is none.
//!
//! **Owns** the words, and the headers that every answer has: nothing is kept by caches, found by search engines, or told to
//! other sites. **Fails** never.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::documents::Format;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

const HTML: &str = "text/html; charset=utf-8";
/// Styles stand in the page itself; nothing is fetched, run, framed or sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// When to come back to what is away.
const AWAY_SECONDS: u64 = 5;

/// The document of a link.
pub fn document(format: Format, content: Vec<u8>) -> Answer {
    let mut answer = answer(StatusCode::OK, format.content_type(), Bytes::from(content));
    let headers = answer.headers_mut();
    // A name for what is saved; it tells nothing of whose boleto it is.
    let disposition = match format {
        Format::Pdf => "inline; filename=\"boleto.pdf\"",
        Format::Png(_) => "inline; filename=\"boleto.png\"",
        Format::Svg => "inline; filename=\"boleto.svg\"",
        Format::Html => "inline; filename=\"boleto.html\"",
    };
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    answer
}

/// The one page for every address that shows nothing, whatever the reason.
pub fn not_found() -> Answer {
    page(
        StatusCode::NOT_FOUND,
        "Documento não encontrado",
        "Este endereço não existe ou não vale mais. Peça um novo a quem lhe enviou a cobrança.",
    )
}

/// For whoever sends anything but `GET` and `HEAD`.
pub fn method_not_allowed() -> Answer {
    let mut answer = page(
        StatusCode::METHOD_NOT_ALLOWED,
        "Operação não permitida",
        "Este endereço serve apenas para ver um documento.",
    );
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// For an address that asks too often.
pub fn too_many(seconds: u64) -> Answer {
    let mut answer = page(
        StatusCode::TOO_MANY_REQUESTS,
        "Muitos acessos",
        "Houve muitos acessos em pouco tempo. Espere um instante e tente de novo.",
    );
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

/// While the store is away.
pub fn away() -> Answer {
    let mut answer = page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Indisponível no momento",
        "O documento não pode ser mostrado agora. Tente de novo em alguns segundos.",
    );
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(AWAY_SECONDS));
    answer
}

/// For our own faults.
pub fn broken() -> Answer {
    page(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Erro",
        "O documento não pôde ser mostrado. Avise quem lhe enviou a cobrança.",
    )
}

fn page(status: StatusCode, title: &str, text: &str) -> Answer {
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"pt-BR\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:10vh auto;max-width:32rem;padding:0 1rem;line-height:1.5}}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
    );
    answer(status, HTML, Bytes::from(body))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    put_common(answer.headers_mut(), content_type);
    answer
}

fn put_common(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));
    // Browsers show a PDF by a page of their own, which such a policy would leave empty.
    if content_type != Format::Pdf.content_type() {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
}

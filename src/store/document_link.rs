//! Links by which a boleto's document is seen without an account of ours.
//!
//! A link is found by the hash of its token and by nothing else, so that one that has ended, one that was revoked and one
//! that never was are the same to whoever opens it.
//!
//! **Fails** with data for what the caller can mend ([`LinkMade`], [`LinksRevoked`]); whatever is not done leaves nothing
//! behind, not even the name of its request.
//! **Limits**: an opening reads one row by its index and writes one; a slice of old links is forgotten at a time.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::entities::document_link as entity;
use super::request_key::{Entered, RequestKey};
use super::transaction::{all, execute};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::document_link::{LinkFormat, TokenHash};
use crate::domain::ids::{BoletoId, TenantId};

/// A link about to be made.
#[derive(Debug, Clone)]
pub struct LinkDraft {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    pub token_hash: TokenHash,
    /// The one that it shows; all of them when absent.
    pub format: Option<LinkFormat>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub request: Option<RequestKey>,
}

/// A link, without its token, which is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLink {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    pub format: Option<LinkFormat>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    /// How often it was opened.
    pub uses: i64,
}

/// What became of a link that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkMade {
    New(DocumentLink),
    /// The same request was made before; its token was told then.
    Before(DocumentLink),
    /// The request id was used for another body.
    OtherBody,
    /// The tenant has no such boleto.
    NotFound,
}

/// A boleto's links about to be revoked.
#[derive(Debug, Clone)]
pub struct Revocation {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    pub request: Option<RequestKey>,
    pub now: DateTime<Utc>,
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinksRevoked {
    /// So many links that would still have opened open no more; the same when the same request was made before.
    Done(u64),
    /// The request id was used for another body.
    OtherBody,
    /// The tenant has no such boleto.
    NotFound,
}

impl Store {
    /// Makes a link.
    pub async fn create_document_link(&self, draft: &LinkDraft) -> Result<LinkMade, StoreError> {
        let (transaction, made) = self
            .within(async {
                let transaction = self.begin().await?;
                let made = self.create_link_in(&transaction, draft).await?;
                Ok((transaction, made))
            })
            .await?;
        self.end_link_change(transaction, matches!(made, LinkMade::New(_))).await?;
        Ok(made)
    }

    async fn create_link_in(
        &self,
        transaction: &DatabaseTransaction,
        draft: &LinkDraft,
    ) -> Result<LinkMade, StoreError> {
        match self.enter_key(transaction, draft.request.as_ref(), draft.id, draft.created_at).await? {
            Entered::New => {}
            Entered::Before(id) => return Ok(LinkMade::Before(link_of(transaction, id).await?)),
            Entered::OtherBody => return Ok(LinkMade::OtherBody),
        }
        if !self.has_boleto(transaction, &draft.tenant_id, draft.boleto_id).await? {
            return Ok(LinkMade::NotFound);
        }
        let insert = self.statement(
            "insert into document_link
               (id, tenant_id, boleto_id, token_hash, format, created_at_us, expires_at_us, uses)
             values ($1, $2, $3, $4, $5, $6, $7, 0)",
            [
                Value::from(draft.id),
                Value::from(draft.tenant_id.as_str()),
                Value::from(draft.boleto_id.0),
                Value::from(draft.token_hash.0.to_vec()),
                Value::from(draft.format.map(LinkFormat::as_str)),
                Value::from(to_us(draft.created_at)),
                Value::from(to_us(draft.expires_at)),
            ],
        );
        execute(transaction, insert).await?;
        let made = link_of(transaction, draft.id).await?;
        let act = Act {
            method: "CreateDocumentLink",
            subject: Subject::Id(draft.boleto_id.0),
            reason: String::new(),
            before: json!(null),
            after: json!({
                "link_id": draft.id.to_string(),
                "format": draft.format.map(LinkFormat::as_str),
                "expires_at": draft.expires_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            }),
            now: draft.created_at,
        };
        self.record_act(transaction, act).await?;
        Ok(LinkMade::New(made))
    }

    /// Has all links of a boleto open no more.
    pub async fn revoke_document_links(&self, revocation: &Revocation) -> Result<LinksRevoked, StoreError> {
        let (transaction, revoked) = self
            .within(async {
                let transaction = self.begin().await?;
                let revoked = self.revoke_links_in(&transaction, revocation).await?;
                Ok((transaction, revoked))
            })
            .await?;
        self.end_link_change(transaction, matches!(revoked, LinksRevoked::Done(_))).await?;
        Ok(revoked)
    }

    async fn revoke_links_in(
        &self,
        transaction: &DatabaseTransaction,
        revocation: &Revocation,
    ) -> Result<LinksRevoked, StoreError> {
        let Revocation { id, tenant_id, boleto_id, request, now } = revocation;
        match self.enter_key(transaction, request.as_ref(), *id, *now).await? {
            Entered::New => {}
            Entered::Before(earlier) => {
                return Ok(LinksRevoked::Done(self.revoked_by(transaction, revocation, earlier).await?));
            }
            Entered::OtherBody => return Ok(LinksRevoked::OtherBody),
        }
        if !self.has_boleto(transaction, tenant_id, *boleto_id).await? {
            return Ok(LinksRevoked::NotFound);
        }
        let revoke = self.statement(
            "update document_link set revoked_at_us = $3, revocation_id = $4
             where tenant_id = $1 and boleto_id = $2 and revoked_at_us is null and expires_at_us > $3",
            [
                Value::from(tenant_id.as_str()),
                Value::from(boleto_id.0),
                Value::from(to_us(*now)),
                Value::from(*id),
            ],
        );
        let revoked = execute(transaction, revoke).await?;
        let act = Act {
            method: "RevokeDocumentLinks",
            subject: Subject::Id(boleto_id.0),
            reason: String::new(),
            before: json!({ "links": revoked }),
            after: json!({ "links": 0 }),
            now: *now,
        };
        self.record_act(transaction, act).await?;
        Ok(LinksRevoked::Done(revoked))
    }

    /// Has all links of a boleto that was erased open no more. They stay until they are forgotten, for the names of the requests that made
    /// them live on.
    pub(super) async fn close_links_of(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &str,
        boleto_id: BoletoId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let close = self.statement(
            "update document_link set revoked_at_us = $3
             where tenant_id = $1 and boleto_id = $2 and revoked_at_us is null",
            [Value::from(tenant), Value::from(boleto_id.0), Value::from(to_us(now))],
        );
        execute(transaction, close).await.map(|_| ())
    }

    /// How many links an earlier request revoked, read off the links: they are forgotten no earlier than its name.
    async fn revoked_by(
        &self,
        transaction: &DatabaseTransaction,
        revocation: &Revocation,
        earlier: Uuid,
    ) -> Result<u64, StoreError> {
        let count = self.statement(
            "select count(*) as links from document_link
             where tenant_id = $1 and boleto_id = $2 and revocation_id = $3",
            [
                Value::from(revocation.tenant_id.as_str()),
                Value::from(revocation.boleto_id.0),
                Value::from(earlier),
            ],
        );
        let found = all(transaction, count).await?;
        let row = found.first().ok_or_else(|| StoreError::Broken("a count without an answer".to_owned()))?;
        let links: i64 = row.try_get("", "links")?;
        u64::try_from(links).map_err(|error| StoreError::unreadable("count", error))
    }

    /// The link that a token opens now, if it opens any.
    pub async fn open_document_link(
        &self,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<Option<DocumentLink>, StoreError> {
        let find = entity::Entity::find()
            .filter(entity::Column::TokenHash.eq(hash.0.to_vec()))
            .filter(entity::Column::RevokedAtUs.is_null())
            .filter(entity::Column::ExpiresAtUs.gt(to_us(now)));
        self.within(async { find.one(self.reader()).await?.map(read).transpose() }).await
    }

    /// Writes down that a link was opened.
    pub async fn note_link_use(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let note = self.statement(
            "update document_link set uses = uses + 1, last_used_at_us = $2 where id = $1",
            [Value::from(id), Value::from(to_us(now))],
        );
        self.within(async { execute(&self.inner.writer, note).await }).await.map(|_| ())
    }

    /// Forgets links that ended before `until`, at most `limit`.
    pub async fn forget_old_links(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let forget = self.statement(
            "delete from document_link where id in (
                select id from document_link where expires_at_us < $1 order by expires_at_us limit $2
             )",
            [Value::from(to_us(until)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, forget).await }).await
    }

    async fn has_boleto(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        id: BoletoId,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            "select 1 as one from boleto where tenant_id = $1 and id = $2",
            [Value::from(tenant.as_str()), Value::from(id.0)],
        );
        Ok(!all(transaction, find).await?.is_empty())
    }

    async fn end_link_change(
        &self,
        transaction: DatabaseTransaction,
        is_done: bool,
    ) -> Result<(), StoreError> {
        match is_done {
            true => self.commit(transaction).await,
            false => self.within(async { Ok(transaction.rollback().await?) }).await,
        }
    }
}

async fn link_of(connection: &impl ConnectionTrait, id: Uuid) -> Result<DocumentLink, StoreError> {
    let found = entity::Entity::find_by_id(id).one(connection).await?;
    found
        .ok_or_else(|| StoreError::Broken(format!("a request made link {id}, which is not there")))
        .and_then(read)
}

fn read(row: entity::Model) -> Result<DocumentLink, StoreError> {
    let tenant_id =
        TenantId::parse(&row.tenant_id).map_err(|error| StoreError::unreadable("tenant", error))?;
    let format = match row.format.as_deref() {
        Some(name) => {
            Some(LinkFormat::named(name).ok_or_else(|| StoreError::unreadable("document format", name))?)
        }
        None => None,
    };
    Ok(DocumentLink {
        id: row.id,
        tenant_id,
        boleto_id: BoletoId(row.boleto_id),
        format,
        created_at: from_us(row.created_at_us)?,
        expires_at: from_us(row.expires_at_us)?,
        last_used_at: row.last_used_at_us.map(from_us).transpose()?,
        uses: row.uses,
    })
}

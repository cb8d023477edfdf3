//! `google.protobuf.FileDescriptorSet`, as much of it as is needed here, with our own options.
//!
//! The types that others generate know none of our options and would drop them.
//!
//! **Owns** nothing. **Fails** as a whole: what cannot be read has no method and no message. **Limits**: what is listed here.

use prost::Message;

/// The protocol.
#[derive(Clone, PartialEq, Message)]
pub struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<File>,
}

/// One file of it.
#[derive(Clone, PartialEq, Message)]
pub struct File {
    #[prost(string, tag = "2")]
    pub package: String,
    #[prost(message, repeated, tag = "4")]
    pub messages: Vec<MessageType>,
    #[prost(message, repeated, tag = "6")]
    pub services: Vec<Service>,
}

/// One message, with those that are declared in it.
#[derive(Clone, PartialEq, Message)]
pub struct MessageType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    pub messages: Vec<MessageType>,
}

/// One field of a message.
#[derive(Clone, PartialEq, Message)]
pub struct Field {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "3")]
    pub number: u32,
    /// `google.protobuf.FieldDescriptorProto.Type`.
    #[prost(int32, tag = "5")]
    pub kind: i32,
    /// Of a message or an enum, its full name with a dot before it.
    #[prost(string, tag = "6")]
    pub type_name: String,
    #[prost(message, optional, tag = "8")]
    pub options: Option<FieldOptions>,
}

/// What we say of a field.
#[derive(Clone, PartialEq, Message)]
pub struct FieldOptions {
    /// `bursar.access.v1.personal`.
    #[prost(enumeration = "crate::proto::access::v1::Personal", tag = "74004")]
    pub personal: i32,
}

/// One service.
#[derive(Clone, PartialEq, Message)]
pub struct Service {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub methods: Vec<Method>,
}

/// One method of a service.
#[derive(Clone, PartialEq, Message)]
pub struct Method {
    #[prost(string, tag = "1")]
    pub name: String,
    /// The full name of its answer, with a dot before it.
    #[prost(string, tag = "3")]
    pub answer: String,
    #[prost(message, optional, tag = "4")]
    pub options: Option<MethodOptions>,
    #[prost(bool, tag = "6")]
    pub server_streaming: bool,
}

/// What we say of a method.
#[derive(Clone, PartialEq, Message)]
pub struct MethodOptions {
    /// `bursar.access.v1.scope`.
    #[prost(string, tag = "74001")]
    pub scope: String,
    /// `bursar.access.v1.also`.
    #[prost(string, tag = "74002")]
    pub also: String,
    /// `bursar.access.v1.reading`.
    #[prost(enumeration = "crate::proto::access::v1::Reading", tag = "74003")]
    pub reading: i32,
}

impl Field {
    /// What it is declared to tell of a person.
    pub fn declared(&self) -> crate::proto::access::v1::Personal {
        self.options.as_ref().map(FieldOptions::personal).unwrap_or_default()
    }
}

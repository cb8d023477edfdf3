//! Which of a questionnaire's elements are questions: each has one recorded answer, by its place among them.
//!
//! The feed gives a list with holes as null, or an object with integers for names when the holes are many.
//!
//! **Owns** nothing. **Fails** with [`NoQuestions`]. **Limits**: [`QUESTIONS_MAX`].

use serde_json::Value;

use super::QUESTIONS_MAX;

/// Why there is nothing to analyse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestions {
    #[error("the questionnaire is missing")]
    Missing,
    #[error("the questionnaire is neither a list nor an object of numbered elements")]
    Unreadable,
    #[error("the questionnaire holds no question")]
    None,
    #[error("the questionnaire holds more than {QUESTIONS_MAX} questions")]
    TooMany,
}

/// How many questions the element `cuestionario` of a questionnaire holds.
///
/// # Errors
/// [`NoQuestions`].
pub fn count(questionnaire: &Value) -> Result<usize, NoQuestions> {
    let elements: Vec<&Value> = match questionnaire {
        Value::Null => return Err(NoQuestions::Missing),
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(elements) => {
            if !elements.keys().all(|name| name.parse::<u32>().is_ok()) {
                return Err(NoQuestions::Unreadable);
            }
            elements.values().collect()
        }
        _ => return Err(NoQuestions::Unreadable),
    };
    let is_question = |element: &&&Value| element.get("tipo").and_then(Value::as_str) == Some("pregunta");
    match elements.iter().filter(is_question).count() {
        0 => Err(NoQuestions::None),
        questions if questions > QUESTIONS_MAX => Err(NoQuestions::TooMany),
        questions => Ok(questions),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn questions_are_counted_in_lists_with_holes_and_in_objects() {
        let (question, other) = (json!({"tipo": "pregunta"}), json!({"tipo": "instruccion"}));
        assert_eq!(count(&json!([question, null, other, question])), Ok(2));
        assert_eq!(count(&json!({"0": question, "7": question, "12": other})), Ok(2));
        assert_eq!(count(&json!(null)), Err(NoQuestions::Missing));
        assert_eq!(count(&json!([other, null])), Err(NoQuestions::None));
        assert_eq!(count(&json!([])), Err(NoQuestions::None));
        assert_eq!(count(&json!({"a": question})), Err(NoQuestions::Unreadable));
        assert_eq!(count(&json!(3)), Err(NoQuestions::Unreadable));
        assert_eq!(count(&json!(["pregunta", 1, {"tipo": 2}])), Err(NoQuestions::None));
        assert_eq!(count(&Value::Array(vec![question; QUESTIONS_MAX + 1])), Err(NoQuestions::TooMany));
    }
}

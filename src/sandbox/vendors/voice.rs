//! What the engines say of a recording: invented numbers, made of its bytes alone.
//!
//! **Owns** nothing. **Fails** never; a recording whose bytes are all alike behind the first 44, which is as long as a WAV
//! file's usual header, holds no speech.
//! **Limits**: one channel, at most four segments. Of the header's 87 columns rows fill 36, as the vendor's do.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the engines call their version.
pub const VERSION: &str = "0.0.0-sandbox";

const HEADER_BYTES: usize = 44;
const COLUMNS: &str = "GlobalSeg#;Seg#;TOPIC;Channel;StartPos;EndPos;OnlineLVA;OfflineLVA;Risk1;Risk2;RiskOZ;OZ1/OZ2/OZ3;\
    Energy;Content;Upset;Angry;Stressed;COGLevel;EMOLevel;Concentration;Anticipation;Hesitation;EmoBalance;IThink;Imagin;SAF;\
    OCA;EmoCogRatio;ExtremeEmotion;CogHighLowBalance;VoiceEnergy;LVARiskStress;LVAGLBStress;LVAEmoStress;LVACOGStress;\
    LVAENRStress;AVJ;CHL;Fant;Fcen;Fflic;Fmain;FmainPos;Fq;FsubCog;FsubEmo;Fx;JQ;LJ;MaxVolAmp;P1;P2;P3;SOS;SPJ;SPJhl;SPJll;\
    SPJsh;SPJsl;SPT;SPST;SPBT;SPBth;SPBtl;SPSth;SPStl;SPBtl_DIF;SPBth_DIF;lJQ;mJQ;hJQ;SPJsav;SPJlav;VOL1;VOL2;intCHL;SPTJtot;\
    SPJdist;SPJcomp;JHLratio;nCHL;CHLdif;CCCHL;sptBdiff;HASv;JQcl;AVJcl";

/// What is heard in one recording.
#[derive(Debug, PartialEq, Eq)]
pub struct Voice {
    /// The final risk, 0 to 100.
    pub risk: u8,
    /// The measure of each segment.
    risk_oz: Vec<u8>,
    /// Of the emotions.
    levels: [u8; 2],
}

impl Voice {
    /// Listens; nothing where nobody speaks.
    pub fn of(audio: &[u8]) -> Option<Self> {
        let sound = audio.get(HEADER_BYTES..).unwrap_or_default();
        if sound.iter().all(|byte| Some(byte) == sound.first()) {
            return None;
        }
        let digest = Sha256::digest(audio);
        let segments = 1 + usize::from(digest[0] % 4);
        Some(Voice {
            risk: digest[1] % 101,
            risk_oz: digest[2..2 + segments].iter().map(|byte| byte % 60).collect(),
            levels: [digest[8] % 101, digest[9] % 101],
        })
    }

    pub fn segments(&self) -> u32 {
        // Four at most.
        self.risk_oz.len() as u32
    }

    /// The row of risk of a question.
    fn row(&self, id: &str, channel: u8) -> String {
        let sum: u32 = self.risk_oz.iter().map(|one| u32::from(*one)).sum();
        let hundredths = (sum * 100 + self.segments() / 2) / self.segments();
        let mean = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        format!("{id};C{channel};{};{mean};{}", self.segments(), self.risk)
    }

    /// The lines of the segments of a question, numbered from `first` on.
    fn lines(&self, id: &str, first: usize) -> Vec<String> {
        let line = |(place, risk_oz): (usize, &u8)| {
            let number = first + place;
            let (from, to) = (place * 3, place * 3 + 2);
            // The engine calibrates itself on the first segment, and has nothing to say of it afterwards.
            let (online, offline) = match place {
                0 => ("Calibrating... (-2)", "<OFFC01>"),
                _ => ("Low Risk (0)", "SUBJECT NOT SURE (4)"),
            };
            format!(
                "SEG{number};{number:04};{id};C0;{from}.35;{to}.90;{online};{offline};0;0; {risk_oz};1/1/402;3;0;0;0;1;21;17;7;3;\
                 18;33;4;2;1;571;58;2;61;911 / 940;0;0;0;0;0"
            )
        };
        self.risk_oz.iter().enumerate().map(line).collect()
    }
}

/// How an answer of RA7 strays from what it should be.
#[derive(Clone, Copy, Default)]
pub struct Stray {
    /// A row for a second channel of the first question.
    pub second_channel: bool,
    /// A row for a question that nobody asked.
    pub extra_row: bool,
}

/// An answer of RA7 about questions, each with its id and its voice.
pub fn ra7(voices: &[(String, Option<Voice>)], stray: Stray) -> Value {
    let (mut lines, mut rows) = (vec![COLUMNS.to_owned()], Vec::new());
    for (id, voice) in voices {
        let Some(voice) = voice else { continue };
        let first = lines.len();
        lines.extend(voice.lines(id, first));
        rows.push(voice.row(id, 0));
    }
    if let Some((id, Some(voice))) = voices.first() {
        rows.extend(stray.second_channel.then(|| voice.row(id, 1)));
        rows.extend(stray.extra_row.then(|| voice.row(&format!("{id}-more"), 0)));
    }
    json!({
        "Status": "OK",
        "nmsID": uuid::Uuid::now_v7(),
        "Ver": VERSION,
        "Data": {"SEG": lines, "RISKREPQ": rows},
    })
}

/// An answer of an engine that measures; `report` is its own section.
pub fn native(voice: Option<&Voice>, report: &str) -> Value {
    let count = voice.map_or(0, Voice::segments);
    let segments: Vec<Value> = (1..=count)
        .map(|number| json!({"Segment": number, "Channel": 0, "Start": 0.4, "End": 1.9, "Online LVA": "Low Risk (0)"}))
        .collect();
    let [stress, discomfort] = voice.map_or([0, 0], |voice| voice.levels);
    json!({
        "Meta Data": {"File": "recording.wav", "Channels": 1, "Length": 6.1},
        "Segments": segments,
        "SummaryLine": {"Channel: 0": {"Segments": count}},
        report: {"Channel: 0": {"CL Stress": stress, "Discomfort": discomfort, "Report": {}, "Analyze": {}, "Tags": []}},
        "Error Message": "",
    })
}

/// An answer of Emotion Logic.
pub fn levels(voice: Option<&Voice>) -> Value {
    let [stress, hesitation] = voice.map_or([0, 0], |voice| voice.levels);
    let profile = json!({"stress": {"averageLevel": stress}, "hesitation": {"averageLevel": hesitation}});
    json!({"success": true, "data": {"reports": {"channel-0": {"profile": profile}}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_always_sounds_the_same_and_silence_is_heard() {
        let audio = [&[0; 44][..], b"somebody says something"].concat();
        assert_eq!(Voice::of(&audio), Voice::of(&audio));
        assert!(Voice::of(&audio).is_some());
        assert_eq!(Voice::of(&[0; 400]), None);
        assert_eq!(Voice::of(b"short"), None);
    }

    #[test]
    fn an_answer_has_the_columns_of_the_vendor_s() {
        let audio = [&[0; 44][..], b"somebody says something else"].concat();
        let voice = Voice::of(&audio).unwrap();
        let (risk, segments) = (voice.risk, voice.segments());
        let answer = ra7(&[("TQ1".to_owned(), Some(voice)), ("TQ2".to_owned(), None)], Stray::default());
        let lines = answer["Data"]["SEG"].as_array().unwrap();
        let columns = |line: &Value| line.as_str().unwrap().split(';').count();
        assert_eq!(lines.len(), 1 + segments as usize);
        assert_eq!(columns(&lines[0]), 87);
        assert!(lines[1..].iter().all(|line| columns(line) == 36));
        let rows = answer["Data"]["RISKREPQ"].as_array().unwrap();
        assert_eq!(rows.len(), 1);
        let fields: Vec<_> = rows[0].as_str().unwrap().split(';').collect();
        assert_eq!((fields[0], fields[4]), ("TQ1", risk.to_string().as_str()));
    }
}

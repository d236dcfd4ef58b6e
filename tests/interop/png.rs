//! As much of PNG as the page and its picture need: 8 bits a channel, not interlaced.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

type Pixel = [u8; 3];

pub(crate) struct Image {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<Pixel>,
}

impl Image {
    pub(crate) fn new(width: usize, height: usize, pixel: impl Fn(usize, usize) -> Pixel) -> Self {
        let pixels = (0..width * height).map(|i| pixel(i % width, i / width));
        Self {
            width,
            height,
            pixels: pixels.collect(),
        }
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Pixel) -> bool) -> usize {
        self.pixels.iter().filter(|pixel| wanted(pixel)).count()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut lines = ZlibEncoder::new(Vec::new(), Compression::none());
        for line in self.pixels.chunks(self.width) {
            lines.write_all(&[0]).unwrap();
            lines.write_all(line.as_flattened()).unwrap();
        }
        let size = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
        let header = [
            &size(self.width)[..],
            &size(self.height),
            // 8 bits, colour, no choice of methods, not interlaced.
            &[8, 2, 0, 0, 0],
        ];
        let mut png = SIGNATURE.to_vec();
        for (name, data) in [
            (b"IHDR", header.concat()),
            (b"IDAT", lines.finish().unwrap()),
            (b"IEND", vec![]),
        ] {
            let mut sum = flate2::Crc::new();
            sum.update(name);
            sum.update(&data);
            png.extend_from_slice(&size(data.len()));
            png.extend_from_slice(name);
            png.extend_from_slice(&data);
            png.extend_from_slice(&sum.sum().to_be_bytes());
        }
        png
    }

    /// Fails if it is not whole. The sums of the chunks are not looked at: zlib has one of its own.
    pub(crate) fn decode(png: &[u8]) -> Self {
        let mut rest = png.strip_prefix(SIGNATURE).expect("the signature of PNG");
        let (mut header, mut data, mut ended) = (&[][..], Vec::new(), false);
        while let Some((head, behind)) = rest.split_at_checked(8) {
            let length = number(head) as usize;
            match &head[4..] {
                b"IHDR" => header = &behind[..length],
                b"IDAT" => data.extend_from_slice(&behind[..length]),
                b"IEND" => ended = true,
                _ => {}
            }
            rest = &behind[length + 4..];
        }
        assert!(ended && rest.is_empty(), "the end of the PNG");
        let (width, height) = (number(header) as usize, number(&header[4..]) as usize);
        let channels = match header[8..] {
            [8, 2, 0, 0, 0] => 3,
            [8, 6, 0, 0, 0] => 4,
            ref other => panic!("a PNG of another kind: {other:?}"),
        };
        let mut lines = Vec::new();
        ZlibDecoder::new(&data[..])
            .read_to_end(&mut lines)
            .expect("the pixels");
        assert_eq!(lines.len(), height * (1 + width * channels));
        let mut pixels = Vec::with_capacity(width * height);
        let mut above = vec![0; width * channels];
        for line in lines.chunks_mut(1 + width * channels) {
            let (filter, line) = line.split_first_mut().unwrap();
            undo(*filter, line, &above, channels);
            let colours = line
                .chunks(channels)
                .map(|pixel| [pixel[0], pixel[1], pixel[2]]);
            pixels.extend(colours);
            above.copy_from_slice(line);
        }
        Self {
            width,
            height,
            pixels,
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// Undoes the filter of one line.
fn undo(filter: u8, line: &mut [u8], above: &[u8], channels: usize) {
    for i in 0..line.len() {
        let (left, corner) = match i.checked_sub(channels) {
            Some(before) => (line[before], above[before]),
            None => (0, 0),
        };
        let (a, b, c) = (i32::from(left), i32::from(above[i]), i32::from(corner));
        let predicted = match filter {
            0 => 0,
            1 => a,
            2 => b,
            3 => (a + b) / 2,
            4 => {
                let p = a + b - c;
                // The first of the nearest, in this order.
                let nearest = [a, b, c].into_iter().min_by_key(|x| (p - x).abs());
                nearest.unwrap()
            }
            other => panic!("filter {other}"),
        };
        line[i] = line[i].wrapping_add(u8::try_from(predicted).unwrap());
    }
}

/// Fails if the coder and the decoder do not agree, before a browser is blamed for it.
#[test]
fn an_image_survives_its_way_through_png() {
    let image = Image::new(7, 5, |x, y| {
        [x * 30, y * 50, 99].map(|channel| u8::try_from(channel).unwrap())
    });
    let back = Image::decode(&image.encode());
    assert_eq!((back.width, back.height), (7, 5));
    assert_eq!(back.pixels, image.pixels);
}
